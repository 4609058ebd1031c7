// The roles with which a Foundry project pulls images, in both modes of the registry.
param registryName string

@description('The identity of the Foundry project.')
param projectPrincipalId string

@description('Names and describes the assignments: azd down finds them by it, and no other environment has the same.')
param deployment string

var roles = loadJsonContent('roles.json')

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' existing = {
  name: registryName
}

resource projectRepositoryReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(registry.id), projectPrincipalId, roles.projectRepositoryReader.id, deployment)
  scope: registry
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.projectRepositoryReader.id)
    principalId: projectPrincipalId
    principalType: 'ServicePrincipal'
    description: 'Slipway ${deployment}'
  }
}

resource projectAcrPull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(registry.id), projectPrincipalId, roles.projectAcrPull.id, deployment)
  scope: registry
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.projectAcrPull.id)
    principalId: projectPrincipalId
    principalType: 'ServicePrincipal'
    description: 'Slipway ${deployment}'
  }
}
