// The app may publish to the outcome topic.
param topicName string
param principalId string

var roles = loadJsonContent('roles.json')

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: topicName
}

resource outcomeSender 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(topic.id, principalId, roles.outcomeSender.id)
  scope: topic
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.outcomeSender.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
