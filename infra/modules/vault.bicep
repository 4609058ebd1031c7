// A new vault, for a first try. In production the vault exists already and is given by name.
param name string
param location string
param tags object

@description('The account that runs azd, which writes the first secrets.')
param deployerId string
param assignRoles bool

var roles = loadJsonContent('roles.json')

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    // no purge protection: it would keep the name of a first try for months, and azd down --purge could not free it
    softDeleteRetentionInDays: 7
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
  }
}

resource secretsOfficer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(toLower(vault.id), deployerId, roles.secretsOfficer.id)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretsOfficer.id)
    principalId: deployerId
  }
}

output name string = vault.name
