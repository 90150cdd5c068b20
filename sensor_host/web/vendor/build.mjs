// Puts what the page takes from npm into this folder: MQTT.js as its makers built it for browsers, the licence texts of
// everything inside it, and the digests of both. `make page` calls it after `npm ci`.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const lock = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8"));
const texts = [];
for (const [place, entry] of Object.entries(lock.packages)) {
  const folder = join(here, place);
  if (!place || entry.dev || !existsSync(folder)) continue;
  const named = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = readdirSync(folder).filter((name) => /^(licen[cs]e|copying)(\.|$)/i.test(name)).sort();
  const text = files.map((name) => readFileSync(join(folder, name), "utf8").replaceAll("\r\n", "\n").trim()).join("\n\n");
  texts.push(`${named.name} ${named.version}: ${named.license ?? "see below"}\n\n${text || "(no text of its own)"}\n`);
}
const line = "\n" + "-".repeat(80) + "\n\n";
writeFileSync(join(here, "LICENSES.txt"), texts.join(line));
copyFileSync(join(here, "node_modules/mqtt/dist/mqtt.esm.js"), join(here, "mqtt.esm.js"));

const digests = {};
for (const name of ["LICENSES.txt", "mqtt.esm.js"])
  digests[name] = createHash("sha256").update(readFileSync(join(here, name))).digest("hex");
writeFileSync(join(here, "digests.json"), JSON.stringify(digests, null, 2) + "\n");
