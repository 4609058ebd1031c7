// A registry for a first try; a real one is there already and given by name.
param name string
param location string
param tags object

@allowed([
  'Basic'
  'Standard'
  'Premium'
])
param sku string = 'Basic'

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: sku
  }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    publicNetworkAccess: 'Enabled'
    policies: {
      // Foundry pulls images of hosted agents with a token for ARM
      azureADAuthenticationAsArmPolicy: {
        status: 'enabled'
      }
    }
  }
}

output name string = registry.name
