// The topic that publishes the outcome of each release, open to any subscriber.
param name string
param location string
param tags object

@description('The identity of the app, which publishes.')
param principalId string
param assignRoles bool

var roles = loadJsonContent('roles.json')

resource topic 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: 'Enabled'
  }
}

resource outcomeSender 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(toLower(topic.id), principalId, roles.outcomeSender.id)
  scope: topic
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.outcomeSender.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

output id string = topic.id
output endpoint string = topic.properties.endpoint
