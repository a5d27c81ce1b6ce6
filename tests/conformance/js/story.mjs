// The AWS SDK for JavaScript with nothing but what `keystead dev` prints in its environment.
// Ends with 0 when every reply is as it should be.

import assert from "node:assert/strict";
import { createPublicKey, randomBytes, randomUUID, verify } from "node:crypto";

import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteAliasCommand,
  DescribeCustomKeyStoresCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetPublicKeyCommand,
  KMSClient,
  ListResourceTagsCommand,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
  SignCommand,
  TagResourceCommand,
  VerifyCommand,
  paginateListKeys,
} from "@aws-sdk/client-kms";

const kms = new KMSClient({ maxAttempts: 1 });
const send = (Command, input) => kms.send(new Command(input));

async function refused(name, message, Command, input) {
  await assert.rejects(send(Command, input), (error) => {
    assert.equal(error.name, name);
    if (message !== undefined) assert.equal(error.message, message);
    assert.equal(error.$metadata.httpStatusCode, 400);
    assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
    return true;
  });
}

async function newKey() {
  const { KeyMetadata } = await send(CreateKeyCommand, {
    Description: "from JavaScript",
    Tags: [{ TagKey: "a", TagValue: "1" }],
  });
  assert.equal(KeyMetadata.KeyState, "Enabled");
  assert.ok(Math.abs(KeyMetadata.CreationDate - new Date()) < 60_000);
  return KeyMetadata;
}

async function encryption(key) {
  const EncryptionContext = { purpose: "story", ünïcode: "✓" };
  const Plaintext = randomBytes(4096);
  const sealed = await send(EncryptCommand, { KeyId: key.KeyId, Plaintext, EncryptionContext });
  const { CiphertextBlob } = sealed;
  const opened = await send(DecryptCommand, { CiphertextBlob, EncryptionContext });
  assert.deepEqual(Buffer.from(opened.Plaintext), Plaintext);
  assert.equal(opened.KeyId, key.Arn);
  await refused("InvalidCiphertextException", undefined, DecryptCommand, { CiphertextBlob });

  const damaged = Uint8Array.from(CiphertextBlob);
  damaged[damaged.length - 1] ^= 1;
  const input = { CiphertextBlob: damaged, EncryptionContext };
  await refused("InvalidCiphertextException", undefined, DecryptCommand, input);

  const other = await newKey();
  const moved = await send(ReEncryptCommand, {
    CiphertextBlob,
    SourceEncryptionContext: EncryptionContext,
    DestinationKeyId: other.KeyId,
  });
  assert.equal(moved.KeyId, other.Arn);
  const again = await send(DecryptCommand, { CiphertextBlob: moved.CiphertextBlob });
  assert.deepEqual(Buffer.from(again.Plaintext), Plaintext);
  await refused("IncorrectKeyException", undefined, DecryptCommand, {
    CiphertextBlob: moved.CiphertextBlob,
    KeyId: key.KeyId,
  });
}

async function dataKeys(key) {
  const made = await send(GenerateDataKeyCommand, { KeyId: key.KeyId, KeySpec: "AES_256" });
  const opened = await send(DecryptCommand, { CiphertextBlob: made.CiphertextBlob });
  assert.deepEqual(opened.Plaintext, made.Plaintext);
  assert.equal(made.Plaintext.length, 32);
}

async function names(key) {
  const AliasName = `alias/js-${randomUUID()}`;
  await send(CreateAliasCommand, { AliasName, TargetKeyId: key.KeyId });
  const { KeyMetadata } = await send(DescribeKeyCommand, { KeyId: AliasName });
  assert.equal(KeyMetadata.Arn, key.Arn);
  await send(DeleteAliasCommand, { AliasName });
  await refused("NotFoundException", undefined, DescribeKeyCommand, { KeyId: AliasName });

  await send(TagResourceCommand, { KeyId: key.KeyId, Tags: [{ TagKey: "b", TagValue: "2" }] });
  const { Tags } = await send(ListResourceTagsCommand, { KeyId: key.KeyId });
  assert.deepEqual(Object.fromEntries(Tags.map((tag) => [tag.TagKey, tag.TagValue])), {
    a: "1",
    b: "2",
  });

  const listed = new Set();
  for await (const page of paginateListKeys({ client: kms, pageSize: 2 }, {})) {
    page.Keys.forEach((entry) => listed.add(entry.KeyId));
  }
  assert.ok(listed.has(key.KeyId));
}

async function states(key) {
  const { CiphertextBlob } = await send(EncryptCommand, {
    KeyId: key.KeyId,
    Plaintext: Buffer.from("x"),
  });
  await send(DisableKeyCommand, { KeyId: key.KeyId });
  const text = `${key.Arn} is disabled.`;
  await refused("DisabledException", text, DecryptCommand, { CiphertextBlob });
  await send(EnableKeyCommand, { KeyId: key.KeyId });
  await send(DecryptCommand, { CiphertextBlob });
  await send(ScheduleKeyDeletionCommand, { KeyId: key.KeyId, PendingWindowInDays: 7 });
  const pending = `${key.Arn} is pending deletion.`;
  await refused("KMSInvalidStateException", pending, DecryptCommand, { CiphertextBlob });
}

async function signatures() {
  const { KeyMetadata } = await send(CreateKeyCommand, {
    KeySpec: "ECC_NIST_P256",
    KeyUsage: "SIGN_VERIFY",
  });
  const { KeyId } = KeyMetadata;
  const Message = Buffer.from("from JavaScript");
  const asked = { KeyId, Message, SigningAlgorithm: "ECDSA_SHA_256" };
  const { Signature } = await send(SignCommand, asked);
  assert.equal((await send(VerifyCommand, { ...asked, Signature })).SignatureValid, true);

  const { PublicKey } = await send(GetPublicKeyCommand, { KeyId });
  const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
  assert.ok(verify("sha256", Message, key, Signature));
  const other = { ...asked, Message: Buffer.from("from elsewhere"), Signature };
  await refused("KMSInvalidSignatureException", undefined, VerifyCommand, other);
}

async function errors() {
  await refused("NotFoundException", "Invalid keyId 'nothing'", DescribeKeyCommand, {
    KeyId: "nothing",
  });
  await refused("ValidationException", undefined, EncryptCommand, {
    KeyId: "nothing",
    Plaintext: new Uint8Array(4097),
  });
  await refused("UnsupportedOperationException", undefined, DescribeCustomKeyStoresCommand, {});
}

const key = await newKey();
await encryption(key);
await dataKeys(key);
await names(key);
await states(key);
await signatures();
await errors();
kms.destroy();
console.log("done");
