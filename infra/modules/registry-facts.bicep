// What the registry says of itself. A module of its own: a location can be a parameter, but not what another resource says.
param registryName string

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' existing = {
  name: registryName
}

output id string = registry.id
output location string = registry.location
output loginServer string = registry.properties.loginServer
