/** Numbers that become more: a typed array that doubles. */
export class Column {
  length = 0;
  private array = new Float64Array(1024);

  push(value: number): void {
    if (this.length === this.array.length) {
      const larger = new Float64Array(this.length * 2);
      larger.set(this.array);
      this.array = larger;
    }
    this.array[this.length++] = value;
  }

  /** A view: further numbers may not be in it. */
  get values(): Float64Array {
    return this.array.subarray(0, this.length);
  }
}
