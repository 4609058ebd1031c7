// The workbook; its JSON is made of infra/monitoring by python infra/monitoring/generate.py.
param location string
param tags object
param workspaceId string
param insightsId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'slipway-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Slipway'
    description: 'What is live, what happened to a push and why, and what needs you.'
    category: 'workbook'
    sourceId: insightsId
    version: 'Notebook/1.0'
    serializedData: replace(loadTextContent('workbook.json'), '@@workspace@@', workspaceId)
  }
}

output workbookId string = workbook.id
