// Properties of the registry. A separate module, as a resource's location may come from a parameter but not from another
// resource.
param registryName string

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' existing = {
  name: registryName
}

output id string = registry.id
output location string = registry.location
output loginServer string = registry.properties.loginServer
