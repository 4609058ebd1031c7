// Log alerts, generated from infra/monitoring, and metric alerts on the deliveries of Event Grid.
param name string
param location string
param tags object
param workspaceId string

@description('E-mail addresses to notify; if empty, the alerts notify nobody.')
param emails array = []

@description('The Event Grid system topic of the registry, and those of the vaults.')
param registryTopicIds array = []
param vaultTopicIds array = []

@description('The subscriptions of this deployment; others on the same topics are somebody else\'s.')
param subscriptionNames array

var systemTopicIds = concat(registryTopicIds, vaultTopicIds)
var logAlerts = loadJsonContent('alerts.json')

var deliveryMetrics = [
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

resource emailGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emails)) {
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

resource logAlert 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in logAlerts: {
  name: 'alert-${name}-${alert.key}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: alert.title
    description: alert.description
    severity: alert.severity
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: alert.evaluationFrequency
    windowSize: alert.windowSize
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: alert.query
          timeAggregation: 'Count'
          operator: alert.operator
          threshold: alert.threshold
          dimensions: alert.dimensions
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: empty(emails) ? [] : [
        emailGroup.id
      ]
    }
  }
}]

resource deliveryAlert 'Microsoft.Insights/metricAlerts@2018-03-01' = [for i in range(0, length(systemTopicIds) * length(deliveryMetrics)): {
  name: 'alert-${name}-${i / length(deliveryMetrics)}-${toLower(deliveryMetrics[i % length(deliveryMetrics)].metric)}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Slipway: events of ${last(split(systemTopicIds[i / length(deliveryMetrics)], '/'))} are not delivered (${deliveryMetrics[i % length(deliveryMetrics)].metric}).'
    severity: deliveryMetrics[i % length(deliveryMetrics)].severity
    enabled: true
    scopes: [
      systemTopicIds[i / length(deliveryMetrics)]
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: deliveryMetrics[i % length(deliveryMetrics)].metric
          metricNamespace: 'Microsoft.EventGrid/systemTopics'
          metricName: deliveryMetrics[i % length(deliveryMetrics)].metric
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'EventSubscriptionName'
              operator: 'Include'
              values: subscriptionNames
            }
          ]
        }
      ]
    }
    actions: empty(emails) ? [] : [
      {
        actionGroupId: emailGroup.id
      }
    ]
  }
}]
