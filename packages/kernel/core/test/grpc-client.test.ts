import { describe, expect, it } from 'vitest';
import { describeGrpcStatus, readBinaryMetadata, Trailers } from '../src/index.ts';

describe('describeGrpcStatus', () => {
  it.each([
    ['', '', ''],
    ['text', '', 'text'],
    ['', 'via_upstream', 'via_upstream'],
    ['text', 'via_upstream', 'text{via_upstream}'],
  ])('"%s" with details "%s"', (message, details, text) => {
    expect(describeGrpcStatus({ code: 2, message, details, statusDetails: undefined })).toBe(text);
  });
});

describe('readBinaryMetadata', () => {
  const read = (...values: string[]) => {
    const trailers = new Trailers();
    for (const value of values) trailers.append('a-bin', value);
    return readBinaryMetadata(trailers, 'a-bin').map((bytes) => bytes.toString('hex'));
  };

  it('takes base64 with and without padding, lines and lists', () => {
    expect(read()).toEqual([]);
    expect(read('')).toEqual(['']);
    expect(read('AQI=')).toEqual(['0102']);
    expect(read('AQI')).toEqual(['0102']);
    expect(read('AQI=, /w', 'AA==')).toEqual(['0102', 'ff', '00']);
  });

  it('refuses nothing', () => {
    expect(read('§$%', '=AQ')).toHaveLength(2);
  });
});
