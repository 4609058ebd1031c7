// Properties of the vault; a separate module for the same reason as registry-facts.bicep.
param vaultName string

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

output id string = vault.id
output location string = vault.location
output vaultUri string = vault.properties.vaultUri
