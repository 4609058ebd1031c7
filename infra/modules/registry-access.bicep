// Read access to the registry in both of its modes: an ABAC registry ignores AcrPull, any other ignores Repository Reader.
param registryName string
param principalId string

var roles = loadJsonContent('roles.json')

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' existing = {
  name: registryName
}

resource repositoryReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(registry.id), principalId, roles.repositoryReader.id)
  scope: registry
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.repositoryReader.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource acrPull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(registry.id), principalId, roles.acrPull.id)
  scope: registry
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.acrPull.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
