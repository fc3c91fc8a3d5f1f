// Reads a JSON array of tasks from standard input and answers with an array of true, or of why not.
//
// OpenSSL, through node:crypto, reads keys, certificates and signatures; "jose" reads JWS; "@auth0/cose" reads COSE_Sign1
// and says what its signature is over.

import crypto from "node:crypto";
import { Sign1 } from "@auth0/cose";
import * as jose from "jose";

const bytes = (text) => Buffer.from(text, "base64");
const spki = (text) => crypto.createPublicKey({ key: bytes(text), format: "der", type: "spki" });
const same = (a, b) => a.export({ format: "der", type: "spki" }).equals(b.export({ format: "der", type: "spki" }));

function expect(condition, what) {
  if (!condition) throw new Error(what);
  return true;
}

const tasks = {
  jwk({ jwk, key }) {
    return expect(same(crypto.createPublicKey({ key: JSON.parse(bytes(jwk)), format: "jwk" }), spki(key)), "another key");
  },

  async jws({ jws, jwk, payload }) {
    const parsed = JSON.parse(bytes(jwk));
    const read = await jose.compactVerify(bytes(jws).toString(), await jose.importJWK(parsed, parsed.alg));
    expect(read.protectedHeader.kid === parsed.kid, "another key id");
    return expect(Buffer.from(read.payload).equals(bytes(payload)), "another payload");
  },

  cose({ sign1, key, payload, algorithm, hash }) {
    const read = Sign1.decode(bytes(sign1));
    expect(Buffer.from(read.payload).equals(bytes(payload)), "another payload");
    expect(read.protectedHeaders.get(1) === algorithm, "another algorithm");
    const signed = Sign1.Signature1(read.encodedProtectedHeaders, new Uint8Array(), read.payload);
    const verifier = { key: spki(key), dsaEncoding: "ieee-p1363" };
    return expect(crypto.verify(hash, signed, verifier, read.signature), "the signature does not hold");
  },

  certificate({ certificate, issuer, key, names }) {
    const leaf = new crypto.X509Certificate(bytes(certificate));
    const above = new crypto.X509Certificate(bytes(issuer));
    expect(above.ca && !leaf.ca, "who is the authority");
    expect(leaf.checkIssued(above), "not issued by it");
    expect(leaf.verify(above.publicKey), "the signature does not hold");
    expect(above.verify(above.publicKey), "the root's signature does not hold");
    expect(same(leaf.publicKey, spki(key)), "another key");
    for (const name of names) expect(leaf.checkHost(name) === name, `not for ${name}`);
    return true;
  },

  pkcs8({ pkcs8, key }) {
    const own = crypto.createPrivateKey({ key: bytes(pkcs8), format: "der", type: "pkcs8" });
    return expect(same(crypto.createPublicKey(own), spki(key)), "another key");
  },

  // What OpenSSL makes, for Ketgate to read.
  make({ type, options }) {
    const { publicKey, privateKey } = crypto.generateKeyPairSync(type, options);
    return {
      public: publicKey.export({ format: "der", type: "spki" }).toString("base64"),
      private: privateKey.export({ format: "der", type: "pkcs8" }).toString("base64"),
    };
  },
};

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const answers = [];
for (const task of JSON.parse(Buffer.concat(chunks))) {
  try {
    answers.push(await tasks[task.what](task));
  } catch (error) {
    answers.push(`${error.name}: ${error.message}`);
  }
}
process.stdout.write(JSON.stringify(answers));
