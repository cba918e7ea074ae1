// Reads lines "id host address port", asks each by HTTPS as Node does by default, writes "id ok" or "id CODE text".
import fs from "node:fs";
import https from "node:https";

const ca = fs.readFileSync(process.argv[2]);
const spots = fs.readFileSync(0, "utf8").trim().split("\n").map((line) => line.split(" "));

const asked = ([id, host, address, port]) =>
  new Promise((resolve) => {
    const lookup = (_, options, done) =>
      options.all ? done(null, [{ address, family: 4 }]) : done(null, address, 4);
    const request = https.get({ host, port, path: "/", ca, lookup, agent: false, timeout: 5000 }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(`${id} ok`));
    });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", (error) => resolve(`${id} ${error.code ?? "ERROR"} ${error.message.split("\n")[0]}`));
  });

for (const line of await Promise.all(spots.map(asked))) console.log(line);
