// liboqs 0.15 in WebAssembly: reads a JSON array of tasks from standard input, and answers with an array of objects.
//
// Values are hexadecimal. It signs without contexts.

import * as oqs from "@oqs/liboqs-js";

const bytes = (text) => new Uint8Array(Buffer.from(text, "hex"));
const text = (value) => Buffer.from(value).toString("hex");
const opened = new Map();

async function scheme(name) {
  if (!opened.has(name)) opened.set(name, await oqs["create" + name]());
  return opened.get(name);
}

const tasks = {
  async sign({ algorithm, message }) {
    const it = await scheme(algorithm);
    const { publicKey, secretKey } = it.generateKeyPair();
    const signature = it.sign(bytes(message), secretKey);
    return { publicKey: text(publicKey), secretKey: text(secretKey), signature: text(signature) };
  },

  async verify({ algorithm, message, signature, publicKey }) {
    const it = await scheme(algorithm);
    return { valid: it.verify(bytes(message), bytes(signature), bytes(publicKey)) };
  },

  async keys({ algorithm }) {
    const { publicKey, secretKey } = (await scheme(algorithm)).generateKeyPair();
    return { publicKey: text(publicKey), secretKey: text(secretKey) };
  },

  async encapsulate({ algorithm, publicKey }) {
    const { ciphertext, sharedSecret } = (await scheme(algorithm)).encapsulate(bytes(publicKey));
    return { ciphertext: text(ciphertext), secret: text(sharedSecret) };
  },

  async decapsulate({ algorithm, ciphertext, secretKey }) {
    return { secret: text((await scheme(algorithm)).decapsulate(bytes(ciphertext), bytes(secretKey))) };
  },
};

let input = "";
for await (const piece of process.stdin) input += piece;
const answers = [];
for (const task of JSON.parse(input)) answers.push(await tasks[task.do](task));
process.stdout.write(JSON.stringify(answers));
