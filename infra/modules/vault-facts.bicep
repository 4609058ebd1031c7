// What the vault says of itself; a module of its own for the reason of registry-facts.bicep.
param vaultName string

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

output id string = vault.id
output location string = vault.location
output vaultUri string = vault.properties.vaultUri
