// The system topic of the registry or the vault. A source can have only one, so an existing topic is used unchanged.
param sourceId string

@allowed([
  'Microsoft.ContainerRegistry.Registries'
  'Microsoft.KeyVault.vaults'
])
param topicType string

@description('The location of the source; a system topic must be in the same one.')
param location string

param topicName string
param tags object
param workspaceId string

@description('An existing topic with a system-assigned identity, in the group of the source; if empty, a topic is created.')
param existingTopicName string = ''

resource newTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (empty(existingTopicName)) {
  name: topicName
  location: location
  tags: tags
  identity: {
    // Event Grid delivers through the storage firewall with no other kind of identity
    type: 'SystemAssigned'
  }
  properties: {
    source: sourceId
    topicType: topicType
  }
}

resource existingTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (!empty(existingTopicName)) {
  name: existingTopicName
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (empty(existingTopicName)) {
  name: 'slipway'
  scope: newTopic
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

output name string = empty(existingTopicName) ? newTopic!.name : existingTopic!.name
output id string = empty(existingTopicName) ? newTopic!.id : existingTopic!.id
output principalId string = empty(existingTopicName) ? newTopic!.identity!.principalId : existingTopic!.identity!.principalId
