import { afterEach, describe, expect, it, vi } from 'vitest';
import { loadLinux } from '../../../node/os/linux.ts';
import { operatingSystem } from '../../../node/os/operating-system.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

describe('the operating system', () => {
  it('is loaded once', () => {
    expect(operatingSystem()).toBe(operatingSystem());
  });

  it('is not used if HLSIM_OS says so', () => {
    vi.stubEnv('HLSIM_OS', 'off');
    expect(loadLinux()).toEqual({ unavailable: 'HLSIM_OS=off' });
  });

  it.each([
    [{ platform: 'darwin', arch: 'arm64' }, 'darwin is not Linux'],
    [{ platform: 'linux', arch: 'riscv64' }, 'Linux on riscv64 is not supported'],
  ])('is not used on %j', (machine, unavailable) => {
    vi.stubGlobal('process', { ...machine, env: {} });
    expect(loadLinux()).toEqual({ unavailable });
  });
});
