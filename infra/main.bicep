// Slipway in one resource group of its own, and what it needs beside the registry, the vault and the project that exist.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Tells deployments in one subscription apart')
param environmentName string

@description('Where the app runs; a region with Flex Consumption')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@maxLength(90)
@description('The resource group of its own; `rg-slipway-<environment>` if empty')
param resourceGroupName string = ''

// What exists

@description('The Foundry account')
param foundryAccountName string

@description('The Foundry project')
param foundryProjectName string

@description('The resource group of the Foundry account')
param foundryResourceGroup string

@description('The subscription of the Foundry account; this one if empty')
param foundrySubscriptionId string = ''

@description('The registry; with `CREATE_REGISTRY` a name that nobody has')
param registryName string

@description('The resource group of the registry; not needed with `CREATE_REGISTRY`')
param registryResourceGroup string = ''

@description('The subscription of the registry; this one if empty')
param registrySubscriptionId string = ''

@description('The system topic that the registry has already; a source can have one only')
param registryTopicName string = ''

@description('The resource group of that topic; the registry\'s if empty')
param registryTopicGroup string = ''

@description('Make a registry, for a first try')
param createRegistry bool = false

@description('Give the Foundry project its two roles on the registry')
param grantProjectPull bool = false

@description('The vault; with `CREATE_VAULT` a name that nobody has')
param vaultName string

@description('The resource group of the vault; not needed with `CREATE_VAULT`')
param vaultResourceGroup string = ''

@description('The subscription of the vault; this one if empty')
param vaultSubscriptionId string = ''

@description('The system topic that the vault has already')
param vaultTopicName string = ''

@description('The resource group of that topic; the vault\'s if empty')
param vaultTopicGroup string = ''

@description('Make a vault, for a first try')
param createVault bool = false

@description('Secrets that the app may read, with commas between; the whole vault if empty. With it no `env_from_vault`')
param vaultSecrets string = ''

// Rights

@description('Assign the roles; `false`: they are printed as commands for whoever may')
param assignRoles bool = true

@allowed([
  'user'
  'versions'
])
@description('The role on the project: `user`, or `versions`, the agent actions alone, for rules without `verify`, `check` and `tools`')
param foundryRole string = 'user'

@description('Who runs azd: reads the journal, sends the smoke check; azd gives it')
param principalId string = ''

// How it behaves

@allowed([
  'queue'
  'function'
])
@description('How events come: into the `queue`, or straight to the `function`, which a hook subscribes after the deployment')
param eventDelivery string = 'queue'

@description('When stale versions go: NCRONTAB, UTC; `0 0 3 * * *` if empty')
param pruneSchedule string = ''

@description('When what was missed is taken up: NCRONTAB, UTC; `0 */5 * * * *` if empty')
param resumeSchedule string = ''

@description('Prune only says what it would do')
param pruneDryRun bool = false

@description('Seconds between looks at a version')
param pollSeconds string = '2'

@description('Looks at versions a second that an instance makes')
param looksPerSecond string = '5'

@description('A topic that is told what became of each release')
param outcomeTopic bool = true

// Size

@description('The Python of the app')
param pythonVersion string = '3.13'

@allowed([
  512
  2048
  4096
])
@description('Megabytes of an instance')
param instanceMemoryMB int = 2048

@minValue(1)
@maxValue(1000)
@description('Instances at most')
param maximumInstanceCount int = 40

@minValue(0)
@maxValue(20)
@description('Instances of `release_agent` that are kept warm; 0 costs nothing at rest')
param alwaysReady int = 0

// Network and telemetry

@description('A network of its own with private endpoints for storage and vault')
param vnetEnabled bool = false

@description('A subnet that is there, delegated to `Microsoft.App/environments`, instead of that network\'s')
param appSubnetId string = ''

@description('Alert rules; they are most of what is paid at rest')
param alertRules bool = true

@description('Addresses that alerts go to, with commas between')
param alertEmails string = ''

@minValue(30)
@maxValue(730)
@description('Days that telemetry is kept')
param logRetentionDays int = 30

@description('Gigabytes of telemetry a day after which no more is taken; -1: no limit')
param logDailyQuotaGb int = 1

var here = subscription().subscriptionId
var token = toLower(uniqueString(here, environmentName, location))
var tags = {
  'azd-env-name': environmentName
}
var foundrySubscription = empty(foundrySubscriptionId) ? here : foundrySubscriptionId
var registrySubscription = empty(registrySubscriptionId) ? here : registrySubscriptionId
var vaultSubscription = empty(vaultSubscriptionId) ? here : vaultSubscriptionId
var ownGroup = empty(resourceGroupName) ? 'rg-slipway-${environmentName}' : resourceGroupName
var registryGroup = createRegistry ? ownGroup : registryResourceGroup
var vaultGroup = createVault ? ownGroup : vaultResourceGroup
var pruneTimes = empty(pruneSchedule) ? '0 0 3 * * *' : pruneSchedule
var resumeTimes = empty(resumeSchedule) ? '0 */5 * * * *' : resumeSchedule
var toQueue = eventDelivery == 'queue'
// the topics' roles come first: where others assign them, hooks/postdeploy.py subscribes
var subscribeHere = toQueue && assignRoles

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: ownGroup
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'slipway-identity'
  scope: group
  params: {
    name: 'id-slipway-${token}'
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'slipway-storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    isPrivate: vnetEnabled
  }
}

module storageAccess 'modules/storage-access.bicep' = if (assignRoles) {
  name: 'slipway-storage-access'
  scope: group
  params: {
    storageName: storage.outputs.name
    principalId: identity.outputs.principalId
    operatorId: principalId
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'slipway-monitoring'
  scope: group
  params: {
    workspaceName: 'log-slipway-${token}'
    insightsName: 'appi-slipway-${token}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyQuotaGb: logDailyQuotaGb
  }
}

module monitoringAccess 'modules/monitoring-access.bicep' = if (assignRoles) {
  name: 'slipway-monitoring-access'
  scope: group
  params: {
    insightsName: monitoring.outputs.insightsName
    principalId: identity.outputs.principalId
  }
}

module outcomes 'modules/outcomes.bicep' = if (outcomeTopic) {
  name: 'slipway-outcomes'
  scope: group
  params: {
    name: 'evgt-slipway-${token}'
    location: location
    tags: tags
  }
}

module outcomesAccess 'modules/outcomes-access.bicep' = if (outcomeTopic && assignRoles) {
  name: 'slipway-outcomes-access'
  scope: group
  params: {
    topicName: outcomes!.outputs.name
    principalId: identity.outputs.principalId
  }
}

// The Foundry project

module foundry 'modules/foundry.bicep' = {
  name: 'slipway-foundry-${token}'
  scope: resourceGroup(foundrySubscription, foundryResourceGroup)
  params: {
    accountName: foundryAccountName
    projectName: foundryProjectName
  }
}

module foundryRoleDefinition 'modules/foundry-role.bicep' = if (assignRoles && foundryRole == 'versions') {
  name: 'slipway-foundry-role-${token}'
  scope: subscription(foundrySubscription)
  params: {
    environmentName: environmentName
    assignableScope: '/subscriptions/${foundrySubscription}/resourceGroups/${foundryResourceGroup}'
  }
}

module foundryAccess 'modules/foundry-access.bicep' = if (assignRoles) {
  name: 'slipway-foundry-access-${token}'
  scope: resourceGroup(foundrySubscription, foundryResourceGroup)
  params: {
    accountName: foundryAccountName
    projectName: foundryProjectName
    principalId: identity.outputs.principalId
    customRoleId: foundryRole == 'versions' ? foundryRoleDefinition!.outputs.id : ''
  }
}

// The registry, and the events of its pushes

module registry 'modules/registry.bicep' = if (createRegistry) {
  name: 'slipway-registry'
  scope: group
  params: {
    name: registryName
    location: location
    tags: tags
  }
}

module registryAccess 'modules/registry-access.bicep' = if (assignRoles) {
  name: 'slipway-registry-access-${token}'
  scope: resourceGroup(registrySubscription, registryGroup)
  params: {
    registryName: registryName
    principalId: identity.outputs.principalId
    projectPrincipalId: grantProjectPull ? foundry.outputs.projectPrincipalId : ''
    environmentName: environmentName
  }
  dependsOn: [
    registry
  ]
}

module registryFacts 'modules/registry-facts.bicep' = {
  name: 'slipway-registry-facts-${token}'
  scope: resourceGroup(registrySubscription, registryGroup)
  params: {
    registryName: registryName
  }
  dependsOn: [
    registry
  ]
}

module registryTopic 'modules/topic.bicep' = {
  name: 'slipway-registry-topic-${token}'
  scope: resourceGroup(registrySubscription, registryGroup)
  params: {
    sourceId: registryFacts.outputs.id
    topicType: 'Microsoft.ContainerRegistry.Registries'
    location: registryFacts.outputs.location
    topicName: 'evgs-slipway-registry-${token}'
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    existingTopicName: registryTopicName
    existingTopicGroup: empty(registryTopicGroup) ? registryGroup : registryTopicGroup
  }
}

module registryTopicAccess 'modules/topic-access.bicep' = if (assignRoles) {
  name: 'slipway-registry-topic-access'
  scope: group
  params: {
    storageName: storage.outputs.name
    principalId: registryTopic.outputs.principalId
    toQueue: toQueue
  }
}

module pushes 'modules/subscription.bicep' = if (subscribeHere) {
  name: 'slipway-pushes-${token}'
  scope: resourceGroup(registrySubscription, empty(registryTopicGroup) ? registryGroup : registryTopicGroup)
  params: {
    topicName: registryTopic.outputs.name
    subscriptionName: 'slipway-${token}-queue'
    eventType: 'Microsoft.ContainerRegistry.ImagePushed'
    storageId: storage.outputs.id
  }
  dependsOn: [
    registryTopicAccess
  ]
}

// The vault, and the events of its rotations

module vault 'modules/vault.bicep' = if (createVault) {
  name: 'slipway-vault'
  scope: group
  params: {
    name: vaultName
    location: location
    tags: tags
  }
}

module vaultAccess 'modules/vault-access.bicep' = if (assignRoles) {
  name: 'slipway-vault-access-${token}'
  scope: resourceGroup(vaultSubscription, vaultGroup)
  params: {
    vaultName: vaultName
    principalId: identity.outputs.principalId
    secretNames: empty(vaultSecrets) ? [] : split(vaultSecrets, ',')
  }
  dependsOn: [
    vault
  ]
}

module vaultFacts 'modules/vault-facts.bicep' = {
  name: 'slipway-vault-facts-${token}'
  scope: resourceGroup(vaultSubscription, vaultGroup)
  params: {
    vaultName: vaultName
  }
  dependsOn: [
    vault
  ]
}

module vaultTopic 'modules/topic.bicep' = {
  name: 'slipway-vault-topic-${token}'
  scope: resourceGroup(vaultSubscription, vaultGroup)
  params: {
    sourceId: vaultFacts.outputs.id
    topicType: 'Microsoft.KeyVault.vaults'
    location: vaultFacts.outputs.location
    topicName: 'evgs-slipway-vault-${token}'
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    existingTopicName: vaultTopicName
    existingTopicGroup: empty(vaultTopicGroup) ? vaultGroup : vaultTopicGroup
  }
}

module vaultTopicAccess 'modules/topic-access.bicep' = if (assignRoles) {
  name: 'slipway-vault-topic-access'
  scope: group
  params: {
    storageName: storage.outputs.name
    principalId: vaultTopic.outputs.principalId
    toQueue: toQueue
  }
}

module rotations 'modules/subscription.bicep' = if (subscribeHere) {
  name: 'slipway-rotations-${token}'
  scope: resourceGroup(vaultSubscription, empty(vaultTopicGroup) ? vaultGroup : vaultTopicGroup)
  params: {
    topicName: vaultTopic.outputs.name
    subscriptionName: 'slipway-${token}-queue'
    eventType: 'Microsoft.KeyVault.SecretNewVersionCreated'
    storageId: storage.outputs.id
  }
  dependsOn: [
    vaultTopicAccess
  ]
}

// The app

module network 'modules/network.bicep' = if (vnetEnabled) {
  name: 'slipway-network'
  scope: group
  params: {
    name: 'vnet-slipway-${token}'
    location: location
    tags: tags
    storageId: storage.outputs.id
    vaultId: vaultFacts.outputs.id
  }
}

module app 'modules/function.bicep' = {
  name: 'slipway-function'
  scope: group
  params: {
    name: 'func-slipway-${token}'
    planName: 'plan-slipway-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageBlobEndpoint: storage.outputs.blobEndpoint
    storageQueueEndpoint: storage.outputs.queueEndpoint
    insightsConnectionString: monitoring.outputs.connectionString
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: alwaysReady
    subnetId: !empty(appSubnetId) ? appSubnetId : (vnetEnabled ? network!.outputs.appSubnetId : '')
    settings: [
      {
        name: 'FOUNDRY_PROJECT_ENDPOINT'
        value: foundry.outputs.endpoint
      }
      {
        name: 'KEY_VAULT_URL'
        value: vaultFacts.outputs.vaultUri
      }
      {
        name: 'REGISTRY_NAME'
        value: registryName
      }
      {
        name: 'REGISTRY_LOGIN_SERVER'
        value: registryFacts.outputs.loginServer
      }
      {
        name: 'REGISTRY_ENDPOINT'
        value: 'https://${registryFacts.outputs.loginServer}'
      }
      {
        name: 'AGENTS_FILE'
        value: 'agents.yaml'
      }
      {
        name: 'PRUNE_SCHEDULE'
        value: pruneTimes
      }
      {
        name: 'RESUME_SCHEDULE'
        value: resumeTimes
      }
      {
        name: 'PRUNE_DRY_RUN'
        value: toLower(string(pruneDryRun))
      }
      {
        name: 'OUTCOME_TOPIC_ENDPOINT'
        value: outcomeTopic ? outcomes!.outputs.endpoint : ''
      }
      {
        name: 'POLL_SECONDS'
        value: pollSeconds
      }
      {
        name: 'LOOKS_PER_SECOND'
        value: looksPerSecond
      }
    ]
  }
  dependsOn: [
    storageAccess
    monitoringAccess
    vaultAccess
  ]
}

// What people look at, and what calls them; a metric alert watches topics of its own subscription only

module workbook 'modules/workbook.bicep' = {
  name: 'slipway-workbook'
  scope: group
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    insightsId: monitoring.outputs.insightsId
  }
}

module alerts 'modules/alerts.bicep' = if (alertRules) {
  name: 'slipway-alerts'
  scope: group
  params: {
    name: 'slipway-${environmentName}'
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    emails: empty(alertEmails) ? [] : split(alertEmails, ',')
    systemTopicIds: concat(registrySubscription == here ? [registryTopic.outputs.id] : [], vaultSubscription == here ? [vaultTopic.outputs.id] : [])
  }
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_NAME string = app.outputs.name
output SERVICE_SLIPWAY_NAME string = app.outputs.name
output AZURE_STORAGE_ACCOUNT_NAME string = storage.outputs.name
output FOUNDRY_PROJECT_ENDPOINT string = foundry.outputs.endpoint
output KEY_VAULT_URL string = vaultFacts.outputs.vaultUri
output REGISTRY_LOGIN_SERVER string = registryFacts.outputs.loginServer
// what the command line reads beside these: source <(azd env get-values)
output AzureWebJobsStorage__accountName string = storage.outputs.name
output PRUNE_SCHEDULE string = pruneTimes
output RESUME_SCHEDULE string = resumeTimes
output OUTCOME_TOPIC_ENDPOINT string = outcomeTopic ? outcomes!.outputs.endpoint : ''
output SLIPWAY_TOKEN string = token
output SLIPWAY_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output SLIPWAY_PROJECT_PRINCIPAL_ID string = foundry.outputs.projectPrincipalId
output SLIPWAY_INSIGHTS_ID string = monitoring.outputs.insightsId
output SLIPWAY_OUTCOME_TOPIC_ID string = outcomeTopic ? outcomes!.outputs.id : ''
output SLIPWAY_REGISTRY_TOPIC_ID string = registryTopic.outputs.id
output SLIPWAY_REGISTRY_TOPIC_PRINCIPAL_ID string = registryTopic.outputs.principalId
output SLIPWAY_VAULT_TOPIC_ID string = vaultTopic.outputs.id
output SLIPWAY_VAULT_TOPIC_PRINCIPAL_ID string = vaultTopic.outputs.principalId
