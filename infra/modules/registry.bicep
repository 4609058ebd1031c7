// A new registry, for a first try. In production the registry exists already and is given by name.
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
      // Foundry pulls the images of hosted agents with an ARM token
      azureADAuthenticationAsArmPolicy: {
        status: 'enabled'
      }
    }
  }
}

output name string = registry.name
