/**
 * Reads and writes memory of the other rank's device by libfabric, with the provider that fi_getinfo lists first.
 * Argument: `list` says only what is listed; `close` has rank 1 close its region in the middle, `revoke` its
 * device; `stay` writes until something breaks.
 */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  allocateDevice,
  FabricError,
  fi_av_insert,
  fi_av_open,
  fi_close,
  fi_cq_open,
  fi_cq_readerr,
  fi_cq_sread,
  fi_domain,
  fi_enable,
  fi_endpoint,
  fi_ep_bind,
  fi_ep_counters,
  fi_fabric,
  fi_getinfo,
  fi_getname,
  fi_mr_regattr,
  fi_read,
  fi_write,
  fi_writedata,
  hlthunk_close,
  hlthunk_command_submission,
  hlthunk_device_mapped_memory_export_dmabuf_fd,
  hlthunk_host_memory_map,
  hlthunk_open,
  hlthunk_wait_for_cs,
  hostMemoryAlloc,
  jobBarrier,
  rankEnvironment,
  storeGet,
  storeSet,
  waitForProgress,
} from 'hlsim';

const BYTES = 1024 * 1024;
const WRITES = 20;
const DATA = 0xfedc_ba98;
const LONG_MS = 30_000;
const ACCESS = ['FI_READ', 'FI_WRITE', 'FI_REMOTE_READ', 'FI_REMOTE_WRITE'];
const [mode] = process.argv.slice(2);
const { rank } = rankEnvironment();
const isWriter = rank === 0;

function say(line) {
  process.stdout.write(`${line}\n`);
}

const infos = await listed();
if (infos === undefined || mode === 'list') process.exit();
const [info] = infos;

let device = await hlthunk_open(0);
let memory = await allocateDevice(device, BYTES);
const dmaBuf = await hlthunk_device_mapped_memory_export_dmabuf_fd(device, memory, BYTES, 0);
const host = hostMemoryAlloc(BYTES);
let staging = await hlthunk_host_memory_map(device, host.address, BYTES);

const domain = await fi_domain(await fi_fabric(info), info);
const av = await fi_av_open(domain);
const cq = await fi_cq_open(domain, 64);
const endpoint = await fi_endpoint(domain, info);
await fi_ep_bind(endpoint, av);
await fi_ep_bind(endpoint, cq);
await fi_enable(endpoint);
const attr = { dmabuf: { fd: dmaBuf, offset: 0, len: BYTES, base_addr: 0 }, access: ACCESS };
const mr = await fi_mr_regattr(domain, { ...attr, iface: 'FI_HMEM_SYNAPSEAI' }, ['FI_MR_DMABUF']);
const local = { kind: 'mr', mr, address: mr.address, length: BYTES };
const target = await meet();

await move();
if (mode === 'stay') await stay();
else await endInTheMiddle();

async function listed() {
  try {
    const found = await fi_getinfo();
    say(`listed ${found.map(({ fabric_attr }) => fabric_attr.prov_name).join(' ')}`);
    return found;
  } catch (reason) {
    if (!(reason instanceof FabricError)) throw reason;
    say(`refused ${reason.code}`);
    return undefined;
  }
}

/** Who the other rank is, and where its region lies. */
async function meet() {
  const name = Buffer.from(await fi_getname(endpoint)).toString('hex');
  await storeSet(`end-${rank}`, JSON.stringify([name, mr.address, Number(mr.key)]));
  const text = await storeGet(`end-${1 - rank}`, LONG_MS);
  const [peer, remoteAddress, key] = JSON.parse(String(text));
  const [dest] = await fi_av_insert(av, [Buffer.from(peer, 'hex')]);
  return { dest, remoteAddress, key: BigInt(key) };
}

/** Writes, a write with data, a read; both sides look at what has arrived. */
async function move() {
  await fill(isWriter ? 1 : 2);
  await jobBarrier();
  if (isWriter) {
    for (let index = 0; index < WRITES; index++) {
      expectDone(await end(() => fi_write(endpoint, local, target, index)));
    }
    await jobBarrier();
    await jobBarrier();
    await fill(3);
    expectDone(await end(() => fi_writedata(endpoint, local, DATA, target, 100)));
    await jobBarrier();
    await fill(4);
    expectDone(await end(() => fi_read(endpoint, local, target, 101)));
    say(`read ${await found()}`);
    await jobBarrier();
    return;
  }
  await jobBarrier();
  const { rmaBytesReceived } = await fi_ep_counters(endpoint);
  say(`written ${await found()}, by the link ${rmaBytesReceived / BYTES} of ${WRITES}`);
  await jobBarrier();
  const [{ kind, data, length }] = await fi_cq_sread(cq, 1, LONG_MS);
  say(`told ${kind} ${data} ${length} ${await found()}`);
  await fill(5);
  await jobBarrier();
  await jobBarrier();
}

/** Rank 1 ends the access while rank 0 writes; then it uses the memory for something else. */
async function endInTheMiddle() {
  await jobBarrier();
  if (isWriter) {
    await fill(6);
    say(`ended ${await untilFailure()}`);
    await jobBarrier();
    say(`then ${await end(() => fi_write(endpoint, local, target, 1))}`);
    say(`then ${await end(() => fi_read(endpoint, local, target, 2))}`);
    await jobBarrier();
    return;
  }
  await sleep(100);
  if (mode === 'revoke') {
    await hlthunk_close(device);
    device = await hlthunk_open(0);
    memory = await allocateDevice(device, BYTES);
    staging = await hlthunk_host_memory_map(device, host.address, BYTES);
  } else {
    await fi_close(mr);
  }
  await fill(7);
  await jobBarrier();
  await jobBarrier();
  say(`left ${await found()}`);
}

async function stay() {
  say(`writing in ${process.pid}`);
  if (isWriter) say(`failed ${await untilFailure()} at ${Date.now()}`);
  else await sleep(LONG_MS);
}

/** Writes one after another, until one fails. */
async function untilFailure() {
  for (let context = 0; ; context++) {
    const outcome = await end(() => fi_write(endpoint, local, target, context));
    if (outcome !== 'done') return outcome;
  }
}

/** Posts and waits: `done`, or the error. */
async function end(post) {
  for (;;) {
    const error = await post();
    if (error === undefined) break;
    if (error !== 'FI_EAGAIN') return error;
    await waitForProgress(endpoint, LONG_MS);
  }
  const completions = await fi_cq_sread(cq, 1, LONG_MS);
  if (completions !== 'FI_EAVAIL') return completions.length === 1 ? 'done' : completions;
  const { err, prov_errno } = await fi_cq_readerr(cq);
  return `${err} ${prov_errno}`;
}

function expectDone(outcome) {
  if (outcome !== 'done') throw new Error(`Expected it to be done but found ${outcome}`);
}

/** Device memory holds pattern `seed`. */
async function fill(seed) {
  for (let index = 0; index < BYTES; index++) host.bytes[index] = index * 7 + seed;
  await copy(staging, memory);
}

/** Which pattern device memory holds. */
async function found() {
  host.bytes.fill(0);
  await copy(memory, staging);
  const [seed] = host.bytes;
  for (let index = 0; index < BYTES; index++) {
    if (host.bytes[index] !== ((index * 7 + seed) & 255)) return `a mixture from ${index} on`;
  }
  return `pattern ${seed}`;
}

async function copy(source, destination) {
  const jobs = [{ kind: 'dma', source, destination, bytes: BYTES }];
  const sequence = await hlthunk_command_submission(device, jobs);
  const status = await hlthunk_wait_for_cs(device, sequence, 1_000_000);
  if (status !== 'COMPLETED') throw new Error(`The copy is ${status}`);
}
