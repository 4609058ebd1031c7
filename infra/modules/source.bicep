// A source of events, the registry or the vault: the app's role on it, its system topic, and the topic's roles.
@allowed([
  'registry'
  'vault'
])
param kind string

param name string

@description('Its system topic, if it has one already; a source can have only one.')
param existingTopicName string = ''

@description('The identity of the app.')
param principalId string

@description('Secrets that the app may read; the whole vault if empty.')
param secretNames array = []

@description('The part of every name that no other environment has.')
param token string

@description('The part of the names that no other source of this kind has.')
param suffix string = ''

param tags object
param workspaceId string

@description('The subscription and the group of the app, where the topic delivers to.')
param appSubscription string
param appGroup string
param storageName string
param assignRoles bool
param deliverToQueue bool

module facts 'source-facts.bicep' = {
  name: 'slipway-${kind}-facts-${token}${suffix}'
  params: {
    kind: kind
    name: name
  }
}

module registryAccess 'registry-access.bicep' = if (assignRoles && kind == 'registry') {
  name: 'slipway-registry-access-${token}'
  params: {
    registryName: name
    principalId: principalId
  }
}

module vaultAccess 'vault-access.bicep' = if (assignRoles && kind == 'vault') {
  name: 'slipway-vault-access-${token}${suffix}'
  params: {
    vaultName: name
    principalId: principalId
    secretNames: secretNames
  }
}

module topic 'topic.bicep' = {
  name: 'slipway-${kind}-topic-${token}${suffix}'
  params: {
    sourceId: facts.outputs.id
    topicType: kind == 'registry' ? 'Microsoft.ContainerRegistry.Registries' : 'Microsoft.KeyVault.vaults'
    location: facts.outputs.location
    topicName: 'evgs-slipway-${kind}-${token}${suffix}'
    tags: tags
    workspaceId: workspaceId
    existingTopicName: existingTopicName
  }
}

module topicAccess 'topic-access.bicep' = if (assignRoles) {
  name: 'slipway-${kind}-topic-access${suffix}'
  scope: resourceGroup(appSubscription, appGroup)
  params: {
    storageName: storageName
    principalId: topic.outputs.principalId
    deliverToQueue: deliverToQueue
  }
}

output id string = facts.outputs.id
output address string = facts.outputs.address
output topicId string = topic.outputs.id
output topicPrincipalId string = topic.outputs.principalId
