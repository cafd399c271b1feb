/**
 * Compiles the AssemblyScript kernels to `dist/node/device/kernels/kernels.wasm`, and refuses a module
 * that brings more than code: a kernel's memory is its device's HBM, where a data segment or a start
 * function would write over user data. Run by `npm run build:kernels`.
 */
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { main } from 'assemblyscript/asc';

/** Every file here exports kernels; what they share is in `lib/`. */
const SOURCES = new URL('./assembly/', import.meta.url);
const OUTPUT = new URL('../../../dist/node/device/kernels/kernels.wasm', import.meta.url);

/** Pages of 64 KiB: any memory of 1 to 65536 pages can be imported. */
const OPTIONS = [
  ...['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ...['--enable', 'simd,threads', '--runtime', 'stub', '--noAssert', '--noExportMemory'],
  ...['--optimizeLevel', '3', '--shrinkLevel', '0', '--converge', '--baseDir', '/'],
];

/** Sections of a WebAssembly module that put bytes into memory or run code at instantiation. */
const FORBIDDEN_SECTIONS = new Map([
  [8, 'a start function'],
  [11, 'a data segment'],
  [12, 'a data count'],
]);

async function compile() {
  const sources = readdirSync(SOURCES)
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => fileURLToPath(new URL(name, SOURCES)));
  const output = new Map();
  const messages = [];
  const stream = { write: (text) => messages.push(String(text)) };
  const { error } = await main([...sources, '--outFile', 'kernels.wasm', ...OPTIONS], {
    stdout: stream,
    stderr: stream,
    writeFile: (name, contents) => {
      output.set(name, contents);
    },
  });
  const binary = output.get('kernels.wasm');
  if (error !== null || binary === undefined) {
    throw new Error(`Expected the kernels to compile but found:\n${messages.join('')}`);
  }
  return binary;
}

/** Ids of the module's sections, in order. A section is an id byte, its size in LEB128, its bytes. */
function* sectionIds(binary) {
  let at = 8;
  while (at < binary.length) {
    yield binary[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++];
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    at += size;
  }
}

function check(binary) {
  for (const id of sectionIds(binary)) {
    const found = FORBIDDEN_SECTIONS.get(id);
    if (found !== undefined) throw new Error(`Expected kernels of code alone but found ${found}`);
  }
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(binary));
  if (imports.length !== 1 || imports[0]?.kind !== 'memory') {
    const names = imports.map(({ module, name }) => `${module}.${name}`).join(', ');
    throw new Error(`Expected kernels to import their memory alone but found ${names}`);
  }
}

/** Written beside and renamed, so that a reader never sees half a module. */
function write(binary) {
  mkdirSync(new URL('./', OUTPUT), { recursive: true });
  const beside = new URL(`./kernels.wasm.${process.pid}`, OUTPUT);
  writeFileSync(beside, binary);
  renameSync(beside, OUTPUT);
}

const binary = await compile();
check(binary);
write(binary);
process.stderr.write(`kernels.wasm: ${binary.length} bytes\n`);
