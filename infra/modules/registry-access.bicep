// Read access to the registry in both of its modes: an ABAC registry ignores AcrPull, any other ignores Repository Reader.
param registryName string
param principalId string

@description('The identity of the Foundry project; if empty, the owner of the registry assigns its roles.')
param projectPrincipalId string = ''

@description('Names and describes the project\'s assignments: azd down finds them by it, and no other environment has the same.')
param deployment string

var roles = loadJsonContent('roles.json')

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' existing = {
  name: registryName
}

resource repositoryReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, principalId, roles.repositoryReader.id)
  scope: registry
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.repositoryReader.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource acrPull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, principalId, roles.acrPull.id)
  scope: registry
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.acrPull.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource projectRepositoryReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(projectPrincipalId)) {
  name: guid(registry.id, projectPrincipalId, roles.projectRepositoryReader.id, deployment)
  scope: registry
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.projectRepositoryReader.id)
    principalId: projectPrincipalId
    principalType: 'ServicePrincipal'
    description: 'Slipway ${deployment}'
  }
}

resource projectAcrPull 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(projectPrincipalId)) {
  name: guid(registry.id, projectPrincipalId, roles.projectAcrPull.id, deployment)
  scope: registry
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.projectAcrPull.id)
    principalId: projectPrincipalId
    principalType: 'ServicePrincipal'
    description: 'Slipway ${deployment}'
  }
}
