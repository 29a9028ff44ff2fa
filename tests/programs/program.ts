// An AssemblyScript program: classes, maps, and its own garbage collector.
class Shape {
  constructor(public name: string, public sides: i32) {}
  area(side: f64): f64 {
    return (<f64>this.sides * side * side) / (4.0 * Math.tan(Math.PI / <f64>this.sides));
  }
}

const shapes = [new Shape("triangle", 3), new Shape("square", 4), new Shape("hexagon", 6)];
for (let i = 0; i < shapes.length; i++) {
  console.log(shapes[i].name + " " + shapes[i].area(2.0).toString());
}

const counts = new Map<string, i32>();
for (let i = 0; i < 10000; i++) {
  const key = "key-" + (i % 17).toString();
  counts.set(key, (counts.has(key) ? counts.get(key) : 0) + 1);
}
const keys = counts.keys().sort();
console.log(keys.length.toString() + " " + keys[0] + " " + counts.get(keys[0]).toString());
console.log(process.argv.length.toString() + " " + process.env.has("GREETING").toString());
process.exit(3);
