import { describe, expect, it } from 'vitest';
import { currentProcess, setCurrentProcess } from '../../../node/process/current-process.ts';
import { hostMemoryAlloc } from '../../../node/process/host-memory.ts';
import type { SystemCallChannel } from '../../../node/process/system-call.ts';

describe('a user program’s view of its process', () => {
  it('is HLSIM_CONFIG outside a rank, then the process that was set; memory comes in lines', () => {
    expect(() => currentProcess()).toThrow(expect.objectContaining({ code: 'HLSIM_CONFIG' }));
    const channel: SystemCallChannel = { call: () => Promise.resolve(undefined) };
    const memory = new SharedArrayBuffer(1024);
    setCurrentProcess({ channel, memory });
    expect(currentProcess().channel).toBe(channel);

    const first = hostMemoryAlloc(10);
    const second = hostMemoryAlloc(64);
    expect([first.address % 64, first.bytes.byteLength, second.address]).toEqual([
      ...[0, 10, first.address + 64],
    ]);
    second.bytes[0] = 5;
    expect(new Uint8Array(memory)[second.address]).toBe(5);
    for (const length of [2000, -1, 0.5]) {
      expect(() => hostMemoryAlloc(length)).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
    }
    const rest = 1024 - (second.address + 64);
    expect(hostMemoryAlloc(rest).bytes.byteLength).toBe(rest);
    expect(() => hostMemoryAlloc(1)).toThrow('ENOMEM');
  });
});
