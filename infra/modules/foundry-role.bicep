// A role with only the agent actions. It can neither invoke an agent nor create a toolbox.
targetScope = 'subscription'

@description('Distinguishes this role from those of other environments; role names are unique in a tenant.')
param deployment string

@description('The scopes at which the role can be assigned: the resource groups of the Foundry accounts.')
param assignableScopes array

var roles = loadJsonContent('roles.json')

resource agentVersions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, 'slipway', deployment)
  properties: {
    roleName: '${roles.agentVersions.role} (${deployment})'
    type: 'CustomRole'
    description: 'Reads, creates and deletes agents and agent versions, and moves their traffic.'
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          'Microsoft.CognitiveServices/accounts/AIServices/agents/read'
          'Microsoft.CognitiveServices/accounts/AIServices/agents/write'
          'Microsoft.CognitiveServices/accounts/AIServices/agents/delete'
        ]
        notDataActions: []
      }
    ]
    assignableScopes: assignableScopes
  }
}

output id string = agentVersions.name
