// Parse and bind KQL with Microsoft's language service: read {"tables": {name: schema}, "queries": {name: text}} from
// standard input, and print {name: [errors]}.
const { readFileSync } = require("node:fs");
require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const { Symbols, GlobalState, KustoCode } = Kusto.Language;
const { tables, queries } = JSON.parse(readFileSync(0, "utf8"));
const symbols = Object.entries(tables).map(([name, schema]) => new Symbols.TableSymbol.$ctor7(name, schema, null));
const database = new Symbols.DatabaseSymbol.ctor("workspace", symbols);
const globals = GlobalState.Default.WithDatabase(database);

const errors = {};
for (const [name, text] of Object.entries(queries)) {
  const diagnostics = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  errors[name] = [];
  for (let i = 0; i < diagnostics.Count; i++) {
    const { Severity, Message, Start } = diagnostics.getItem(i);
    if (Severity !== "Suggestion") errors[name].push(`${Message}: ${text.slice(Start, Start + 60)}`);
  }
}
process.stdout.write(JSON.stringify(errors));
