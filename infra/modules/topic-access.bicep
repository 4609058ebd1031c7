// Roles of a system topic on the app's storage: it writes events to the queue and dead letters to their container.
// The sender's role is on the account: with the role on the queue alone, creating the subscription was reported to fail.
param storageName string
param principalId string
param deliverToQueue bool = true

var roles = loadJsonContent('roles.json')

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' existing = {
  parent: storage
  name: 'default'
}

resource deadletters 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' existing = {
  parent: blobs
  name: 'deadletters'
}

resource eventSender 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (deliverToQueue) {
  name: guid(toLower(storage.id), principalId, roles.eventSender.id)
  scope: storage
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventSender.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource deadLetterWriter 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(deadletters.id), principalId, roles.deadLetterWriter.id)
  scope: deadletters
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.deadLetterWriter.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
