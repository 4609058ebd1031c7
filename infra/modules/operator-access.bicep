// Roles of the people who approve, hold and roll back: on the state and on the queue that wakes the app, not on the code
// package (`packages`), the host's keys (`azure-webjobs-secrets`) or the queue of events.
param storageName string
param principalId string

@description('Group for a group; empty for the account that runs azd, whose kind the template does not know.')
param principalType string = ''

@description('Also allow smoke events, as the deployment sends one.')
param sendsEvents bool = false

var roles = loadJsonContent('roles.json')

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' existing = {
  parent: storage
  name: 'default'
}

resource state 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' existing = {
  parent: blobs
  name: 'slipway'
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' existing = {
  parent: storage
  name: 'default'
}

resource releases 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' existing = {
  parent: queueService
  name: 'releases'
}

resource events 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' existing = {
  parent: queueService
  name: 'events'
}

resource operatorState 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(state.id), principalId, roles.operatorState.id)
  scope: state
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.operatorState.id)
    principalId: principalId
    principalType: empty(principalType) ? null : principalType
  }
}

resource operatorReleases 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(releases.id), principalId, roles.operatorReleases.id)
  scope: releases
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.operatorReleases.id)
    principalId: principalId
    principalType: empty(principalType) ? null : principalType
  }
}

resource smokeSender 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (sendsEvents) {
  name: guid(toLower(events.id), principalId, roles.smokeSender.id)
  scope: events
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.smokeSender.id)
    principalId: principalId
    principalType: empty(principalType) ? null : principalType
  }
}
