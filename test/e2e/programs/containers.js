/**
 * A rank, a holder of the device in the same container and an observer in another: the holder's
 * dma-buf travels to the observer, the holder is killed, and the rank says who has what when.
 */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  closeDescriptor,
  hlthunk_close,
  hlthunk_open,
  killProcess,
  receiveMessage,
  sendMessage,
  socketPair,
  spawnProcess,
  textOf,
  waitProcess,
} from 'hlsim';

const LONG_MS = 30_000;
const child = new URL('containers-child.js', import.meta.url);

async function start(role, options = {}) {
  const [mine, theirs] = await socketPair();
  const { containerId, more = [] } = options;
  const pid = await spawnProcess({
    program: child,
    arguments: [role, ...more],
    fds: [theirs],
    ...(containerId !== undefined && { containerId }),
  });
  await closeDescriptor(theirs);
  return { pid, socket: mine };
}

async function textFrom(socket) {
  const message = await receiveMessage(socket, LONG_MS);
  return message === null ? 'end' : textOf(message);
}

async function codeOf(call) {
  try {
    await call;
    return 'ok';
  } catch (reason) {
    return reason.code;
  }
}

async function openDevice() {
  const open = hlthunk_open(0);
  const code = await codeOf(open);
  if (code === 'ok') await hlthunk_close(await open);
  return code;
}

/** EBUSY and EAGAIN both say that somebody has the device still. */
async function openUntilFree() {
  for (;;) {
    const code = await openDevice();
    if (code !== 'EBUSY' && code !== 'EAGAIN') return code;
    await sleep(10);
  }
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

const holder = await start('holder');
const hello = await receiveMessage(holder.socket, LONG_MS);
say(`holder has the device: open gives ${await openDevice()}`);

const observer = await start('observer', { containerId: 'other', more: [String(holder.pid)] });
await sendMessage(observer.socket, 'a dma-buf', hello.fds);
await closeDescriptor(hello.fds[0]);
say(`observer kills holder: ${await textFrom(observer.socket)}`);
say(`rank kills observer: ${await codeOf(killProcess(observer.pid, 'SIGKILL'))}`);

await killProcess(holder.pid, 'SIGKILL');
say(`rank kills holder: ${JSON.stringify(await waitProcess(holder.pid, LONG_MS))}`);
say(`holder's socket: ${await textFrom(holder.socket)}`);
say(`holder killed again: ${await codeOf(killProcess(holder.pid, 'SIGKILL'))}`);
say(`observer keeps the dma-buf: open gives ${await openDevice()}`);

await sendMessage(observer.socket, 'close it');
say(`observer closes it: ${await textFrom(observer.socket)}`);
say(`open gives ${await openUntilFree()}`);
await closeDescriptor(observer.socket);
say(`observer ends: ${JSON.stringify(await waitProcess(observer.pid, LONG_MS))}`);

for (const role of ['throws', 'exits', 'obeys', 'refuses']) {
  const { pid, socket } = await start(role);
  if ((await textFrom(socket)) === 'ready') await killProcess(pid);
  say(`${role}: ${JSON.stringify(await waitProcess(pid, LONG_MS))}`);
}
await start('stays');
