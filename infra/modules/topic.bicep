// The system topic of the registry or the vault; a source can have only one, so one that is there already is used as it is.
param sourceId string

@allowed([
  'Microsoft.ContainerRegistry.Registries'
  'Microsoft.KeyVault.vaults'
])
param topicType string

@description('The source\'s own: a topic stands where its source stands.')
param location string

param topicName string
param tags object
param workspaceId string

@description('The topic that is there already, with a system-assigned identity; empty: one is made.')
param existingTopicName string = ''

@description('The resource group of that topic.')
param existingTopicGroup string

resource made 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (empty(existingTopicName)) {
  name: topicName
  location: location
  tags: tags
  identity: {
    // with a firewall around the storage account Event Grid delivers with no other kind
    type: 'SystemAssigned'
  }
  properties: {
    source: sourceId
    topicType: topicType
  }
}

resource found 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (!empty(existingTopicName)) {
  name: existingTopicName
  scope: resourceGroup(existingTopicGroup)
}

resource failures 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (empty(existingTopicName)) {
  name: 'slipway'
  scope: made
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

output name string = empty(existingTopicName) ? made!.name : found!.name
output id string = empty(existingTopicName) ? made!.id : found!.id
output principalId string = empty(existingTopicName) ? made!.identity!.principalId : found!.identity!.principalId
