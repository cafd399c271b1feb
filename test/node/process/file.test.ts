import { describe, expect, it } from 'vitest';
import {
  FdTable,
  type FileOperations,
  OPEN_FILES_MAX,
  OpenFile,
} from '../../../node/process/file.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';

/** A file that writes down what happens to it. */
function recordedFile(log: string[], name = 'file'): OpenFile {
  const operations: FileOperations = {
    kind: 'recorded',
    closed: () => log.push(`${name} closed`),
    release: () => log.push(`${name} released`),
  };
  return new OpenFile(operations);
}

function install(fds: FdTable, file: OpenFile): number {
  const fd = fds.reserve();
  if (typeof fd !== 'number') throw new Error(fd);
  fds.install(fd, file);
  return fd;
}

function process(): SimProcess {
  return new SimProcess({ pid: 1, containerId: 'c', memory: new SharedArrayBuffer(100) });
}

describe('OpenFile', () => {
  it('is released once, with its last reference', () => {
    const log: string[] = [];
    const file = recordedFile(log);
    file.get();
    file.put();
    expect(log).toEqual([]);
    file.put();
    expect(log).toEqual(['file released']);
    expect(() => file.put()).toThrow('Expected a live file');
    expect(() => file.get()).toThrow('Expected a live file');
  });

  it('is told when its last descriptor closes, though a reference of another kind remains', () => {
    const log: string[] = [];
    const file = recordedFile(log);
    file.get();
    const fds = new FdTable();
    const fd = install(fds, file);
    const copy = fds.dup(fd) as number;
    fds.close(fd);
    expect(log).toEqual([]);
    fds.close(copy);
    expect(log).toEqual(['file closed']);
    file.put();
    expect(log).toEqual(['file closed', 'file released']);
  });
});

describe('FdTable', () => {
  it('gives the lowest free number, from 0', () => {
    const fds = new FdTable();
    const numbers = [0, 1, 2].map(() => install(fds, recordedFile([])));
    expect(numbers).toEqual([0, 1, 2]);
    fds.close(1);
    expect(install(fds, recordedFile([]))).toBe(1);
  });

  it('shows nothing under a reserved number, and does not give it twice', () => {
    const fds = new FdTable();
    expect(fds.reserve()).toBe(0);
    expect([fds.lookup(0), fds.close(0), fds.dup(0)]).toEqual(['EBADF', 'EBADF', 'EBADF']);
    expect(fds.reserve()).toBe(1);
    fds.unreserve(0);
    expect(fds.reserve()).toBe(0);
  });

  it(`has ${OPEN_FILES_MAX} numbers, then EMFILE`, () => {
    const fds = new FdTable();
    const file = recordedFile([]);
    install(fds, file);
    while (fds.openCount < OPEN_FILES_MAX) fds.dup(0);
    expect([fds.reserve(), fds.dup(0)]).toEqual(['EMFILE', 'EMFILE']);
    expect(file.references).toBe(OPEN_FILES_MAX);
    fds.close(500);
    expect(fds.dup(0)).toBe(500);
  });
});

describe('SimProcess', () => {
  it('runs its hooks and then closes every descriptor when it ends, once', () => {
    const log: string[] = [];
    const one = process();
    install(one.fds, recordedFile(log, 'a'));
    install(one.fds, recordedFile(log, 'b'));
    one.onExit(() => log.push(`hook with ${one.fds.openCount} open`));
    one.onExit(() => log.push('taken back'))();
    one.exit();
    one.exit();
    expect(log).toEqual(['hook with 2 open', 'a closed', 'a released', 'b closed', 'b released']);
    expect([one.state, one.fds.openCount]).toEqual(['exited', 0]);
  });

  it('a hook that throws stops neither other hooks nor the closing', () => {
    const log: string[] = [];
    const one = process();
    install(one.fds, recordedFile(log));
    one.onExit(() => {
      throw new Error('hook failed');
    });
    one.onExit(() => log.push('second hook'));
    expect(() => one.exit()).toThrow('hook failed');
    expect(log).toEqual(['second hook', 'file closed', 'file released']);
  });

  it('takes no descriptor after its end: what arrives late is closed at once', () => {
    const log: string[] = [];
    const one = process();
    const reserved = one.fds.reserve() as number;
    one.exit();
    expect(one.fds.reserve()).toBe('EMFILE');
    one.fds.install(reserved, recordedFile(log, 'late'));
    expect(log).toEqual(['late closed', 'late released']);
  });

  it('gives user memory inside its bounds only', () => {
    const one = process();
    expect(one.userBytes(0, 100)?.byteLength).toBe(100);
    expect(one.userBytes(100, 0)?.byteLength).toBe(0);
    const bad = [
      [0, 101],
      [100, 1],
      [-1, 1],
      [1, -1],
      [0.5, 1],
      [Number.NaN, 1],
      [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ] as const;
    for (const [address, length] of bad) expect(one.userBytes(address, length)).toBeUndefined();
  });
});
