// Storage of the app: code package, state and journal, dead letters, and the three queues with their poison queues.
param name string
param location string
param tags object

@description('Replication, such as Standard_LRS.')
param sku string

@description('Allow only private endpoints and trusted Azure services, among them Event Grid.')
param isPrivate bool = false

@description('Days to keep the journal.')
param journalDays int = 180

@description('Days to keep dead letters.')
param deadLetterDays int = 30

@description('The identity of the app.')
param principalId string

@description('The account that runs azd.')
param deployerId string

@description('The group of the operators; nobody but the account that runs azd if empty.')
param operatorGroupId string = ''

@description('The workspace that records who writes state and queues.')
param workspaceId string
param assignRoles bool

var roles = loadJsonContent('roles.json')

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    // also Enabled when private: it is not documented that trusted services can still connect with Disabled
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: 7
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [for container in [
  'packages'
  'slipway'
  'deadletters'
]: {
  parent: blobs
  name: container
  properties: {
    publicAccess: 'None'
  }
}]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = [for queue in [
  'events'
  'events-poison'
  'releases'
  'releases-poison'
  'commit-statuses'
  'commit-statuses-poison'
]: {
  parent: queueService
  name: queue
}]

resource expiry 'Microsoft.Storage/storageAccounts/managementPolicies@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'journal'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: {
              blobTypes: [
                'appendBlob'
              ]
              prefixMatch: [
                'slipway/journal/'
              ]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: journalDays
                }
              }
            }
          }
        }
        {
          name: 'deadletters'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                'deadletters/'
              ]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: deadLetterDays
                }
              }
            }
          }
        }
      ]
    }
  }
  dependsOn: [
    containers
  ]
}

resource blobOwner 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(toLower(account.id), principalId, roles.blobOwner.id)
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobOwner.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource queueContributor 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(toLower(account.id), principalId, roles.queueContributor.id)
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueContributor.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

module deployerAccess 'operator-access.bicep' = if (assignRoles) {
  name: 'slipway-deployer-access'
  params: {
    storageName: account.name
    principalId: deployerId
    sendsEvents: true
  }
  dependsOn: [
    containers
    queues
  ]
}

module operatorAccess 'operator-access.bicep' = if (assignRoles && !empty(operatorGroupId)) {
  name: 'slipway-operator-access'
  params: {
    storageName: account.name
    principalId: operatorGroupId
    principalType: 'Group'
  }
  dependsOn: [
    containers
    queues
  ]
}

// Who approved, held or rolled back, as Entra knows it: what a caller writes about itself proves nothing.

resource blobAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'slipway'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageWrite'
        enabled: true
      }
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

resource queueAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'slipway'
  scope: queueService
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageWrite'
        enabled: true
      }
    ]
  }
}

output id string = account.id
output name string = account.name
output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
