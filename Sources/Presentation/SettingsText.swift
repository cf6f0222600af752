public import Operations

/// Settings and their origins.
public func settingsText(_ settings: [EffectiveSetting]) -> String {
    var table = TextTable(["cluster", "setting", "value", "source"])
    for setting in settings { table.add([setting.cluster, setting.name, setting.value ?? "", setting.source]) }
    return table.text
}
