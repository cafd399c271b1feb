/** Frames as a peer sends them. */
import {
  CALL_BYTES,
  type DataFrame,
  dataHeadBytes,
  writeCall,
  writeDataHead,
} from '../../../../node/hccl/wire/wire-frames.ts';

export function callBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(CALL_BYTES);
  writeCall(bytes, 0, text);
  return bytes;
}

/** A DATA whose payload counts up from `first`. */
export function dataBytes(frame: DataFrame, first = 1): Uint8Array {
  const head = dataHeadBytes(frame.bytes);
  const bytes = new Uint8Array(head + frame.bytes);
  writeDataHead(new DataView(bytes.buffer), 0, frame);
  bytes.set(counting(frame.bytes, first), head);
  return bytes;
}

export function counting(bytes: number, first = 1): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => first + index);
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
