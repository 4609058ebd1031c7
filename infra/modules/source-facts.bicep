// Properties of the registry or the vault. A separate module, as a resource's location may come from a parameter but not
// from another resource.
@allowed([
  'registry'
  'vault'
])
param kind string

param name string

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' existing = if (kind == 'registry') {
  name: name
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = if (kind == 'vault') {
  name: name
}

output id string = kind == 'registry' ? registry.id : vault.id
output location string = kind == 'registry' ? registry!.location : vault!.location

@description('Where images are pulled from, or secrets are read.')
output address string = kind == 'registry' ? registry!.properties.loginServer : vault!.properties.vaultUri
