// Parses and binds KQL with Microsoft's own language service: reads {"tables": {name: schema}, "queries": {name: text}}
// on its standard input and prints {name: [what is wrong]}.
const { readFileSync } = require("node:fs");
require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const { Symbols, GlobalState, KustoCode } = Kusto.Language;
const { tables, queries } = JSON.parse(readFileSync(0, "utf8"));
const known = Object.entries(tables).map(([name, schema]) => new Symbols.TableSymbol.$ctor7(name, schema, null));
const database = new Symbols.DatabaseSymbol.ctor("workspace", known);
const globals = GlobalState.Default.WithDatabase(database);

const told = {};
for (const [name, text] of Object.entries(queries)) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const found = code.GetDiagnostics();
  const all = [];
  for (let i = 0; i < found.Count; i++) {
    const one = found.getItem(i);
    if (one.Severity !== "Suggestion") all.push(`${one.Message}: ${text.slice(one.Start, one.Start + 60)}`);
  }
  told[name] = all;
}
process.stdout.write(JSON.stringify(told));
