// Slipway in its own resource group, connected to an existing registry, vault and Foundry project.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the environment; distinguishes deployments in one subscription')
param environmentName string

@description('Region of the app; must offer Flex Consumption')
@metadata({ azd: { type: 'location' } })
param location string

@maxLength(90)
@description('Resource group to create for the app; `rg-slipway-<environment>` if empty')
param resourceGroupName string = ''

// Existing resources

@description('Foundry account')
param foundryAccountName string = ''

@description('Foundry project')
param foundryProjectName string = ''

@description('Resource group of the Foundry account')
param foundryResourceGroup string = ''

@description('Subscription of the Foundry account; the app\'s if empty')
param foundrySubscriptionId string = ''

@description('Resource ids of more Foundry projects, separated by commas: those of `projects` in `agents.yaml`')
param moreProjectIds string = ''

@description('Registry; with `CREATE_REGISTRY` a name that is still free')
param registryName string = ''

@description('Resource group of the registry; not needed with `CREATE_REGISTRY`')
param registryResourceGroup string = ''

@description('Subscription of the registry; the app\'s if empty, and with `CREATE_REGISTRY`')
param registrySubscriptionId string = ''

@description('Existing system topic of the registry, if it has one; a registry can have only one')
param registryTopicName string = ''

@description('Create a registry, for a first try')
param createRegistry bool = false

@description('Assign each Foundry project its two roles on the registry')
param grantProjectPull bool = false

@description('Key vault; with `CREATE_VAULT` a name that is still free')
param vaultName string = ''

@description('Resource group of the vault; not needed with `CREATE_VAULT`')
param vaultResourceGroup string = ''

@description('Subscription of the vault; the app\'s if empty, and with `CREATE_VAULT`')
param vaultSubscriptionId string = ''

@description('Existing system topic of the vault, if it has one')
param vaultTopicName string = ''

@description('Resource ids of more vaults, separated by commas: those of `projects` in `agents.yaml`; `:<topic>` after an id names its existing system topic')
param moreVaultIds string = ''

@description('Create a vault, for a first try')
param createVault bool = false

@description('Names of the secrets that the app may read, separated by commas; the whole vault if empty. If set, `env_from_vault` does not work')
param vaultSecretNames string = ''

// Roles

@description('Assign the roles; `false` prints the commands for an administrator to run')
param assignRoles bool = true

@allowed([
  'user'
  'versions'
])
@description('Role on each project: `user`, or `versions` with only the agent actions, for agents without `verify`, `check`, `evaluate` and `tools`')
param foundryRole string = 'user'

@description('Object id of the Entra group that may approve, hold and roll back; only the account that runs azd if empty')
param operatorGroupId string = ''

// Behavior

@allowed([
  'queue'
  'function'
])
@description('Destination of events: the `queue`, or the `function` directly')
param eventDelivery string = 'queue'

@description('When stale versions are deleted: NCRONTAB, UTC; `0 0 3 * * *` if empty')
param pruneSchedule string = ''

@description('When interrupted releases resume and missed pushes are found: NCRONTAB, UTC; `0 */5 * * * *` if empty')
param resumeSchedule string = ''

@description('Only report what pruning would delete')
param pruneDryRun bool = false

@description('Seconds between two reads of a version that is being prepared')
param pollSeconds string = '2'

@description('Maximum reads of versions per second and project')
param foundryReadsPerSecond string = '5'

@description('Create an Event Grid topic that publishes the outcome of each release')
param outcomeTopic bool = true

// Size

@description('Python version of the app')
param pythonVersion string = '3.13'

@allowed([
  512
  2048
  4096
])
@description('Memory of an instance in MB')
param instanceMemoryMB int = 2048

@minValue(1)
@maxValue(1000)
@description('Maximum number of instances')
param maximumInstanceCount int = 40

@minValue(0)
@maxValue(20)
@description('Instances of `release_agent` that always run; 0 costs nothing while idle')
param alwaysReady int = 0

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
@description('Replication of the storage account; zones (`Standard_ZRS`) are not in every region')
param storageSku string = 'Standard_LRS'

// Network and telemetry

@description('Create a virtual network with private endpoints for storage and vault')
param vnetEnabled bool = false

@description('Existing subnet for the app, delegated to `Microsoft.App/environments`, instead of a new one')
param appSubnetId string = ''

@description('Create alert rules; they are most of the idle cost')
param alertRules bool = true

@description('E-mail addresses for alerts, separated by commas')
param alertEmails string = ''

@minValue(30)
@maxValue(730)
@description('Days to keep telemetry')
param logRetentionDays int = 30

@description('Gigabytes of telemetry accepted per day; -1 for no limit')
param logDailyQuotaGb int = 1

// The items of a list with commas, whatever the spaces
func listed(text string) string[] => filter(map(split(text, ','), item => trim(item)), item => !empty(item))

// Where a resource id is: its last name is that of the resource, the name before last that of its account
func place(id string) object => {
  subscription: split(id, '/')[2]
  group: split(id, '/')[4]
  account: split(id, '/')[8]
  name: last(split(id, '/'))
}

var appSubscription = subscription().subscriptionId
// a region has a display name too, and the other spelling must not name everything anew
var token = toLower(uniqueString(appSubscription, environmentName, toLower(replace(location, ' ', ''))))
var tags = {
  'azd-env-name': environmentName
}
var foundrySubscription = empty(foundrySubscriptionId) ? appSubscription : foundrySubscriptionId
var registrySubscription = createRegistry || empty(registrySubscriptionId) ? appSubscription : registrySubscriptionId
var vaultSubscription = createVault || empty(vaultSubscriptionId) ? appSubscription : vaultSubscriptionId
var appGroup = empty(resourceGroupName) ? 'rg-slipway-${environmentName}' : resourceGroupName
var registryGroup = createRegistry ? appGroup : registryResourceGroup
var vaultGroup = createVault ? appGroup : vaultResourceGroup
// The first is that of the settings
var projects = concat(
  [
    {
      subscription: foundrySubscription
      group: foundryResourceGroup
      account: foundryAccountName
      name: foundryProjectName
    }
  ],
  map(listed(moreProjectIds), id => place(id))
)
var vaults = concat(
  [
    {
      subscription: vaultSubscription
      group: vaultGroup
      name: vaultName
      topic: vaultTopicName
      suffix: ''
    }
  ],
  map(listed(moreVaultIds), item => {
    ...place(split(item, ':')[0])
    topic: split('${item}:', ':')[1]
    // not the position, which would give the topic of a vault another name when the list changes
    suffix: '-${take(uniqueString(toLower(split(item, ':')[0])), 6)}'
  })
)
// A metric alert can watch only topics of its own subscription
var watchedVaults = filter(range(0, length(vaults)), i => vaults[i].subscription =~ appSubscription)
var pruneCron = empty(pruneSchedule) ? '0 0 3 * * *' : pruneSchedule
var resumeCron = empty(resumeSchedule) ? '0 */5 * * * *' : resumeSchedule

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: appGroup
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
    sku: storageSku
    isPrivate: vnetEnabled
    principalId: identity.outputs.principalId
    deployerId: deployer().objectId
    operatorGroupId: operatorGroupId
    workspaceId: monitoring.outputs.workspaceId
    assignRoles: assignRoles
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
    principalId: identity.outputs.principalId
    assignRoles: assignRoles
  }
}

module outcomes 'modules/outcomes.bicep' = if (outcomeTopic) {
  name: 'slipway-outcomes'
  scope: group
  params: {
    name: 'evgt-slipway-${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    assignRoles: assignRoles
  }
}

// The Foundry projects

module foundry 'modules/foundry.bicep' = [for (project, i) in projects: {
  name: 'slipway-foundry-${token}${i == 0 ? '' : '-${i}'}'
  scope: resourceGroup(project.subscription, project.group)
  params: {
    accountName: project.account
    projectName: project.name
  }
}]

module foundryRoleDefinition 'modules/foundry-role.bicep' = if (assignRoles && foundryRole == 'versions') {
  name: 'slipway-foundry-role-${token}'
  scope: subscription(foundrySubscription)
  params: {
    deployment: '${environmentName} ${token}'
    assignableScopes: union(map(projects, project => toLower('/subscriptions/${project.subscription}/resourceGroups/${project.group}')), [])
  }
}

module foundryAccess 'modules/foundry-access.bicep' = [for (project, i) in projects: if (assignRoles) {
  name: 'slipway-foundry-access-${token}${i == 0 ? '' : '-${i}'}'
  scope: resourceGroup(project.subscription, project.group)
  params: {
    accountName: project.account
    projectName: project.name
    principalId: identity.outputs.principalId
    customRoleId: foundryRole == 'versions' ? foundryRoleDefinition!.outputs.id : ''
  }
}]

// The registry and its push events

module registry 'modules/registry.bicep' = if (createRegistry) {
  name: 'slipway-registry'
  scope: group
  params: {
    name: registryName
    location: location
    tags: tags
  }
}

module registrySource 'modules/source.bicep' = {
  name: 'slipway-registry-source-${token}'
  scope: resourceGroup(registrySubscription, registryGroup)
  params: {
    kind: 'registry'
    name: registryName
    existingTopicName: registryTopicName
    principalId: identity.outputs.principalId
    token: token
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    appSubscription: appSubscription
    appGroup: group.name
    storageName: storage.outputs.name
    assignRoles: assignRoles
    deliverToQueue: eventDelivery == 'queue'
  }
  dependsOn: [registry]
}

module projectPull 'modules/project-pull.bicep' = [for (project, i) in projects: if (assignRoles && grantProjectPull) {
  name: 'slipway-project-pull-${token}${i == 0 ? '' : '-${i}'}'
  scope: resourceGroup(registrySubscription, registryGroup)
  params: {
    registryName: registryName
    projectPrincipalId: foundry[i].outputs.projectPrincipalId
    deployment: '${environmentName} ${token}'
  }
  dependsOn: [registry]
}]

// The vaults and their events for new secret versions

module vault 'modules/vault.bicep' = if (createVault) {
  name: 'slipway-vault'
  scope: group
  params: {
    name: vaultName
    location: location
    tags: tags
    deployerId: deployer().objectId
    assignRoles: assignRoles
  }
}

module vaultSource 'modules/source.bicep' = [for (source, i) in vaults: {
  name: 'slipway-vault-source-${token}${source.suffix}'
  scope: resourceGroup(source.subscription, source.group)
  params: {
    kind: 'vault'
    name: source.name
    existingTopicName: source.topic
    principalId: identity.outputs.principalId
    secretNames: i == 0 ? listed(vaultSecretNames) : []
    token: token
    suffix: source.suffix
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    appSubscription: appSubscription
    appGroup: group.name
    storageName: storage.outputs.name
    assignRoles: assignRoles
    deliverToQueue: eventDelivery == 'queue'
  }
  dependsOn: [vault]
}]

// The app

module network 'modules/network.bicep' = if (vnetEnabled) {
  name: 'slipway-network'
  scope: group
  params: {
    name: 'vnet-slipway-${token}'
    location: location
    tags: tags
    storageId: storage.outputs.id
    vaultId: vaultSource[0].outputs.id
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
    settings: {
      FOUNDRY_PROJECT_ENDPOINT: foundry[0].outputs.endpoint
      KEY_VAULT_URL: vaultSource[0].outputs.address
      KEY_VAULT_ID: vaultSource[0].outputs.id
      REGISTRY_NAME: registryName
      REGISTRY_ID: registrySource.outputs.id
      REGISTRY_LOGIN_SERVER: registrySource.outputs.address
      REGISTRY_ENDPOINT: 'https://${registrySource.outputs.address}'
      AGENTS_FILE: 'agents.yaml'
      PRUNE_SCHEDULE: pruneCron
      RESUME_SCHEDULE: resumeCron
      PRUNE_DRY_RUN: toLower(string(pruneDryRun))
      OUTCOME_TOPIC_ENDPOINT: outcomeTopic ? outcomes!.outputs.endpoint : ''
      POLL_SECONDS: pollSeconds
      FOUNDRY_READS_PER_SECOND: foundryReadsPerSecond
    }
  }
}

// The workbook and the alerts

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
    emails: listed(alertEmails)
    subscriptionNames: [
      'slipway-${token}-queue'
      'slipway-${token}-function'
    ]
    registryTopicIds: registrySubscription =~ appSubscription ? [registrySource.outputs.topicId] : []
    vaultTopicIds: [for i in watchedVaults: vaultSource[i].outputs.topicId]
  }
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_NAME string = app.outputs.name
output SERVICE_SLIPWAY_NAME string = app.outputs.name
output AZURE_STORAGE_ACCOUNT_NAME string = storage.outputs.name
output FOUNDRY_PROJECT_ENDPOINT string = foundry[0].outputs.endpoint
output KEY_VAULT_URL string = vaultSource[0].outputs.address
output KEY_VAULT_ID string = vaultSource[0].outputs.id
output REGISTRY_ID string = registrySource.outputs.id
output REGISTRY_LOGIN_SERVER string = registrySource.outputs.address
// for the command line: source <(azd env get-values)
output AzureWebJobsStorage__accountName string = storage.outputs.name
output PRUNE_SCHEDULE string = pruneCron
output RESUME_SCHEDULE string = resumeCron
output OUTCOME_TOPIC_ENDPOINT string = outcomeTopic ? outcomes!.outputs.endpoint : ''
output SLIPWAY_TOKEN string = token
// the account that runs azd: a person, or the identity of a workflow
output SLIPWAY_OPERATOR_ID string = deployer().objectId
output SLIPWAY_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output SLIPWAY_PROJECT_PRINCIPAL_ID string = foundry[0].outputs.projectPrincipalId
output SLIPWAY_INSIGHTS_ID string = monitoring.outputs.insightsId
output SLIPWAY_OUTCOME_TOPIC_ID string = outcomeTopic ? outcomes!.outputs.id : ''
output SLIPWAY_REGISTRY_TOPIC_ID string = registrySource.outputs.topicId
output SLIPWAY_REGISTRY_TOPIC_PRINCIPAL_ID string = registrySource.outputs.topicPrincipalId
output SLIPWAY_VAULT_TOPIC_ID string = vaultSource[0].outputs.topicId
output SLIPWAY_VAULT_TOPIC_PRINCIPAL_ID string = vaultSource[0].outputs.topicPrincipalId
// in the order of MORE_PROJECT_IDS and MORE_VAULT_IDS
output SLIPWAY_MORE_PROJECT_PRINCIPAL_IDS array = [for i in range(1, length(projects) - 1): foundry[i].outputs.projectPrincipalId]
output SLIPWAY_MORE_VAULT_TOPIC_IDS array = [for i in range(1, length(vaults) - 1): vaultSource[i].outputs.topicId]
output SLIPWAY_MORE_VAULT_TOPIC_PRINCIPAL_IDS array = [for i in range(1, length(vaults) - 1): vaultSource[i].outputs.topicPrincipalId]
