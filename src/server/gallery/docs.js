// Shows the description of the API: one entry for each operation, grouped by tag.

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const api = await (await fetch("/openapi.json")).json();

// A schema as people write JSON, with references followed a few levels deep.
function shape(schema, depth = 0) {
  if (!schema) return "";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > 3 ? name : shape(api.components.schemas[name], depth + 1);
  }
  if (schema.allOf) return schema.allOf.map((part) => shape(part, depth)).join(" & ");
  const either = schema.oneOf ?? schema.anyOf;
  if (either) return either.map((part) => shape(part, depth + 1)).filter((text) => text !== "null").join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const type = [schema.type].flat().filter((name) => name !== "null").join(" | ");
  if (type === "array") return `[${shape(schema.items, depth + 1)}, ...]`;
  if (type !== "object" || !schema.properties) return type;
  const indent = "  ".repeat(depth + 1);
  const fields = Object.entries(schema.properties).map(([name, field]) => {
    const optional = schema.required?.includes(name) ? "" : "?";
    return `${indent}"${name}"${optional}: ${shape(field, depth + 1)}`;
  });
  return `{\n${fields.join(",\n")}\n${"  ".repeat(depth)}}`;
}

function entry(path, method, operation) {
  const made = element("details", {},
    element("summary", {},
      element("span", { class: "method" }, method.toUpperCase()),
      element("code", {}, path), " ", element("span", { class: "dim" }, operation.summary ?? "")));
  if (operation.description) made.append(element("p", {}, operation.description));
  if (operation.parameters?.length) {
    const rows = operation.parameters.map((parameter) =>
      element("tr", {}, element("td", {}, element("code", {}, parameter.name)),
        element("td", {}, shape(parameter.schema)), element("td", {}, parameter.description ?? "")));
    made.append(element("table", {}, ...rows));
  }
  for (const [kind, content] of Object.entries(operation.requestBody?.content ?? {})) {
    made.append(element("p", { class: "dim" }, `Body: ${kind}`), element("pre", {}, shape(content.schema)));
  }
  const answers = Object.entries(operation.responses).map(([status, answer]) => {
    const [kind, content] = Object.entries(answer.content ?? {})[0] ?? [""];
    const isShown = kind === "application/json";
    return element("tr", {}, element("td", {}, element("code", {}, status)), element("td", {}, answer.description ?? "",
      ...(isShown ? [element("pre", {}, shape(content.schema))] : [])), element("td", { class: "dim" }, kind));
  });
  made.append(element("table", {}, ...answers));
  return made;
}

const main = document.getElementById("operations");
main.replaceChildren();
for (const tag of api.tags) {
  main.append(element("h2", {}, tag.name), element("p", { class: "dim" }, tag.description ?? ""));
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (operation.tags?.includes(tag.name)) main.append(entry(path, method, operation));
    }
  }
}
