// Who is called, and when: log alerts made of infra/monitoring, and Event Grid's own deliveries.
param name string
param location string
param tags object
param workspaceId string

@description('Addresses that are told; none: the rules are there and tell nobody.')
param emails array = []

@description('The registry\'s and the vault\'s Event Grid system topics.')
param systemTopicIds array = []

var rules = loadJsonContent('alerts.json')

var deliveries = [
  {
    metric: 'DeadLetteredCount'
    severity: 1
  }
  {
    metric: 'DroppedEventCount'
    severity: 1
  }
  {
    metric: 'DeliveryAttemptFailCount'
    severity: 2
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emails)) {
  name: 'ag-${name}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'slipway'
    enabled: true
    emailReceivers: [for (address, i) in emails: {
      name: 'mail${i}'
      emailAddress: address
      useCommonAlertSchema: true
    }]
  }
}

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for one in rules: {
  name: 'alert-${name}-${one.key}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: one.title
    description: one.description
    severity: one.severity
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: one.evaluationFrequency
    windowSize: one.windowSize
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: one.query
          timeAggregation: 'Count'
          operator: one.operator
          threshold: one.threshold
          dimensions: one.dimensions
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: empty(emails) ? [] : [
        people.id
      ]
    }
  }
}]

resource delivery 'Microsoft.Insights/metricAlerts@2018-03-01' = [for i in range(0, length(systemTopicIds) * length(deliveries)): {
  name: 'alert-${name}-${i / length(deliveries)}-${toLower(deliveries[i % length(deliveries)].metric)}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Slipway: events of ${last(split(systemTopicIds[i / length(deliveries)], '/'))} do not arrive (${deliveries[i % length(deliveries)].metric}).'
    severity: deliveries[i % length(deliveries)].severity
    enabled: true
    scopes: [
      systemTopicIds[i / length(deliveries)]
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: deliveries[i % length(deliveries)].metric
          metricNamespace: 'Microsoft.EventGrid/systemTopics'
          metricName: deliveries[i % length(deliveries)].metric
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: empty(emails) ? [] : [
      {
        actionGroupId: people.id
      }
    ]
  }
}]
