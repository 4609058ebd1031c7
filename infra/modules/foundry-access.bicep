// The app's role on the Foundry project, its only role in Foundry.
param accountName string
param projectName string
param principalId string

@description('The custom role of foundry-role.bicep; Foundry User if empty.')
param customRoleId string = ''

var roles = loadJsonContent('roles.json')

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' existing = {
  name: accountName
}

resource project 'Microsoft.CognitiveServices/accounts/projects@2025-06-01' existing = {
  parent: account
  name: projectName
}

resource foundryUser 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (empty(customRoleId)) {
  name: guid(toLower(project.id), principalId, roles.foundryUser.id)
  scope: project
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.foundryUser.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource agentVersions 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(customRoleId)) {
  name: guid(toLower(project.id), principalId, 'agentVersions')
  scope: project
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', customRoleId)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
