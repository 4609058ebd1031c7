// The registry's system topic; a source can have only one, so one that is there already is used as it is.
param registryName string
param topicName string
param tags object
param workspaceId string

@description('The topic that is there already, with a system-assigned identity; empty: one is made.')
param existingTopicName string = ''

@description('The resource group of that topic.')
param existingTopicGroup string = resourceGroup().name

resource source 'Microsoft.ContainerRegistry/registries@2025-04-01' existing = {
  name: registryName
}

resource made 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (empty(existingTopicName)) {
  name: topicName
  location: source.location
  tags: tags
  identity: {
    // with a firewall around the storage account Event Grid delivers with no other kind
    type: 'SystemAssigned'
  }
  properties: {
    source: source.id
    topicType: 'Microsoft.ContainerRegistry.Registries'
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
        category: 'DeliveryFailures'
        enabled: true
      }
    ]
  }
}

output name string = empty(existingTopicName) ? made!.name : found!.name
output id string = empty(existingTopicName) ? made!.id : found!.id
output principalId string = empty(existingTopicName) ? made!.identity!.principalId : found!.identity!.principalId
output loginServer string = source.properties.loginServer
