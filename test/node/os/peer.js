/**
 * Another process on the machine, with a C library of its own and none of hlsim's code: it is sent a
 * descriptor by unix socket, maps the file, and does as it is told over the IPC channel. It obeys
 * nobody who revokes anything.
 *
 * Argument: the abstract name to connect to.
 */
import koffi from 'koffi';

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const connect = libc.func('int connect(int fd, const void *addr, uint32_t length)');
const sendmsg = libc.func('int64_t send(int fd, const void *bytes, size_t length, int flags)');
const recvmsg = libc.func('int64_t recvmsg(int fd, void *msg, int flags)');
const mmap = libc.func('void *mmap(void *addr, size_t n, int prot, int flags, int fd, int64_t at)');
const ftruncate = libc.func('int ftruncate(int fd, int64_t length)');
const seal = libc.func('int fcntl(int fd, int command, int argument)');
const futex = libc.func(
  'int64_t syscall(int64_t n, uintptr_t word, int64_t op, int64_t value, uintptr_t timeout)',
);

const SYS_FUTEX = { x64: 202, arm64: 98 }[process.arch];
const FUTEX_WAKE = 1;
const F_ADD_SEALS = 1033;
const F_SEAL_WRITE = 8;
const EPERM = 1;

const name = Buffer.from(process.argv[2] ?? '');
const channel = socket(1, 5, 0);
const address = Buffer.concat([Buffer.from([1, 0, 0]), name]);
if (connect(channel, address, address.length) !== 0) process.exit(2);

let bytes = new Uint8Array(0);
let fd = -1;

/** The next message by the socket, and its descriptor, which is mapped. */
function map(size) {
  const message = new Uint8Array(new ArrayBuffer(256));
  const control = new DataView(new ArrayBuffer(64));
  const iovec = new DataView(new ArrayBuffer(16));
  iovec.setBigUint64(0, koffi.address(message), true);
  iovec.setBigUint64(8, 256n, true);
  const header = new DataView(new ArrayBuffer(56));
  header.setBigUint64(16, koffi.address(new Uint8Array(iovec.buffer)), true);
  header.setBigUint64(24, 1n, true);
  header.setBigUint64(32, koffi.address(new Uint8Array(control.buffer)), true);
  header.setBigUint64(40, 64n, true);
  const length = recvmsg(channel, new Uint8Array(header.buffer), 0);
  fd = control.getInt32(16, true);
  bytes = new Uint8Array(koffi.view(mmap(null, size, 3, 1, fd, 0), size));
  return Buffer.from(message.subarray(0, length)).toString();
}

const COMMANDS = {
  map,
  read: (offset) => bytes[offset],
  sum: () => bytes.reduce((sum, byte) => sum + byte, 0),
  fill: (value) => bytes.fill(value).length,
  /** Overwrites everything again and again for so many milliseconds. */
  hammer: (ms) => {
    const end = Date.now() + ms;
    let rounds = 0;
    while (Date.now() < end) bytes.fill(128 + (++rounds % 128));
    return rounds;
  },
  shrink: () => (ftruncate(fd, 0) === 0 ? 'shrunk' : koffi.errno() === EPERM && 'EPERM'),
  grow: () => (ftruncate(fd, 2 ** 30) === 0 ? 'grown' : koffi.errno() === EPERM && 'EPERM'),
  seal: () =>
    seal(fd, F_ADD_SEALS, F_SEAL_WRITE) === 0 ? 'sealed' : koffi.errno() === EPERM && 'EPERM',
  /** Stores `value` in the first word and wakes who waits on it. */
  wake: (value) => {
    new Int32Array(bytes.buffer)[0] = value;
    return futex(SYS_FUTEX, koffi.address(bytes), FUTEX_WAKE, 1000, 0);
  },
  say: (text) => sendmsg(channel, Buffer.from(text), text.length, 0),
  user: () => [process.pid, process.getuid(), process.getgid()],
};

process.on('message', ({ command, argument }) => {
  process.send({ result: COMMANDS[command](argument) });
});
process.on('disconnect', () => process.exit());
