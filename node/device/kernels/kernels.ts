/** Loads the compiled kernels and binds them to a device's memory. */
import { existsSync, readFileSync } from 'node:fs';
import { HlsimError } from '../../../common/errors.ts';
import { KERNELS, type KernelName } from './table.ts';

/** A kernel, bound to its memory. Arguments as `argumentsOf` orders them. */
export type Kernel = (...args: readonly number[]) => unknown;

export type KernelSet = Readonly<Record<KernelName, Kernel>>;

/** Beside this file in a build; from the sources, in the build's folder. */
const LOCATIONS = ['./kernels.wasm', '../../../dist/node/device/kernels/kernels.wasm'] as const;

/** Compiled once per process; each device instantiates it with its own memory. */
let compiled: WebAssembly.Module | undefined;

function kernelModule(): WebAssembly.Module {
  if (compiled !== undefined) return compiled;
  const urls = LOCATIONS.map((location) => new URL(location, import.meta.url));
  const found = urls.find((url) => existsSync(url));
  if (found === undefined) {
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      `Expected the compiled kernels at ${urls.map((url) => url.pathname).join(' or ')} but found nothing there: run npm run build`,
    );
  }
  compiled = new WebAssembly.Module(readFileSync(found));
  return compiled;
}

/** Throws `HLSIM_PROGRAM_UNREADABLE` if the kernels were not built, or are older than the table. */
export function loadKernels(memory: WebAssembly.Memory): KernelSet {
  const { exports } = new WebAssembly.Instance(kernelModule(), { env: { memory } });
  for (const name of Object.keys(KERNELS)) {
    if (typeof exports[name] === 'function') continue;
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      `Expected kernel ${name} among the compiled kernels but found none of that name: run npm run build`,
    );
  }
  return exports as unknown as KernelSet;
}
