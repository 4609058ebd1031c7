// Read access to secrets: on the whole vault, or on single secrets, which env_from_vault then cannot list.
param vaultName string
param principalId string

@description('Assign the role on these secrets, which must exist; on the vault if empty.')
param secretNames array = []

var roles = loadJsonContent('roles.json')

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource secrets 'Microsoft.KeyVault/vaults/secrets@2024-11-01' existing = [for secret in secretNames: {
  parent: vault
  name: secret
}]

resource onVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (empty(secretNames)) {
  name: guid(toLower(vault.id), principalId, roles.secretsUser.id)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretsUser.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource onSecret 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (secret, i) in secretNames: {
  name: guid(toLower(vault.id), toLower(secret), principalId, roles.secretsUser.id)
  scope: secrets[i]
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretsUser.id)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]
