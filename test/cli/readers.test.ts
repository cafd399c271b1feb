import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coordinatorUrl, duration, integer, oneOf, onOff, size } from '../../cli/readers.ts';
import { GiB, KiB, MiB } from '../../common/bytes.ts';

describe('size()', () => {
  it.each([
    ['8', 8],
    ['1K', KiB],
    ['64k', 64 * KiB],
    ['16M', 16 * MiB],
    ['16MB', 16 * MiB],
    ['1G', GiB],
  ])('reads %s as binary units', (text, bytes) => {
    expect(size(1).read(text)).toBe(bytes);
  });

  it.each(['', 'M', '1T', '1.5M', '-1', '1 M M', '0x10', '9999999999G'])('refuses %j', (text) => {
    expect(size(1).read(text)).toBeUndefined();
  });

  it('refuses less than the minimum', () => {
    expect(size(MiB).read('1023K')).toBeUndefined();
    expect(size(MiB).read('1024K')).toBe(MiB);
  });

  it('refuses more than the maximum, and what is no multiple', () => {
    const limited = size(MiB, { max: 3 * MiB + 64 * KiB, multipleOf: 64 * KiB });
    expect(limited.read('3136K')).toBe(3 * MiB + 64 * KiB);
    expect(limited.read('3200K')).toBeUndefined();
    expect(limited.read('1025K')).toBeUndefined();
    expect(limited.expected).toBe(
      'a size such as 16M or 1G, a multiple of 65536 bytes, at least 1048576 bytes, at most 3211264 bytes',
    );
  });
});

describe('integer()', () => {
  it('reads every number in its range and no other', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const inside = value >= 1 && value <= 64;
        expect(integer(1, 64).read(String(value))).toBe(inside ? value : undefined);
      }),
    );
  });

  it.each(['', ' 1', '1e1', '+1', '1_0', 'NaN', '٣'])('refuses %j', (text) => {
    expect(integer(0, 100).read(text)).toBeUndefined();
  });
});

describe('duration', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['2m', 120_000],
    ['5', 5_000],
  ])('reads %s in milliseconds', (text, milliseconds) => {
    expect(duration.read(text)).toBe(milliseconds);
  });

  it.each(['', '0', '0ms', 's', '1h', '-1s', '25000m'])('refuses %j', (text) => {
    expect(duration.read(text)).toBeUndefined();
  });
});

describe('coordinatorUrl', () => {
  it.each(['ws://127.0.0.1:7700', 'ws://coordinator:7700', 'ws://[::1]:7700/'])(
    'reads %s',
    (text) => {
      expect(coordinatorUrl.read(text)).toBe(text);
    },
  );

  it.each(['', '7700', 'localhost:7700', 'http://a:1', 'ws://a:1/b', 'ws://a:1?b', 'ws://a:1#b'])(
    'refuses %j',
    (text) => {
      expect(coordinatorUrl.read(text)).toBeUndefined();
    },
  );
});

describe('oneOf() and onOff', () => {
  it('read exactly their words', () => {
    expect(oneOf(['a', 'b']).read('b')).toBe('b');
    expect(oneOf(['a', 'b']).read('c')).toBeUndefined();
    expect(onOff.read('1')).toBe(true);
    expect(onOff.read('0')).toBe(false);
    expect(onOff.read('yes')).toBeUndefined();
  });
});
