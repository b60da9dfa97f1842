/// Draws brain phantoms of four classes: pictures that anyone may have, for the demo and for tests.
///
/// - `glioma`: an irregular tumour inside the brain, with a dead core and swelling around it
/// - `meningioma`: round and even, at the inside of the skull
/// - `pituitary`: small, at the base's middle
/// - `notumor`: none of these; vessels and the gland light up in every class
///
/// What differs is shape and place. Brightness, contrast, pose, size of the head and noise vary far more from picture to
/// picture than a tumour changes them, so that mean intensities tell little.
package enum PhantomGenerator {
    /// A pure function of its arguments, the same bytes on every platform.
    /// - Precondition: `size` is from 16 to 2,048 pixels.
    package static func draw(_ kind: PhantomClass, seed: UInt64, index: Int, size: Int) -> LumaImage {
        precondition((16...2048).contains(size), "a phantom is 16 to 2048 pixels wide")
        let number = UInt64(PhantomClass.allCases.firstIndex(of: kind) ?? 0)
        var random = CounterRandom(0x7068_616e, seed, number, UInt64(index))
        let head = PhantomHead(kind, random: &random)
        let pose = Pose(&random)
        let gain = random.uniform(0.6, 1.0)
        let floor = random.uniform(0, 0.06)
        let slope = (x: random.uniform(-0.15, 0.15), y: random.uniform(-0.15, 0.15))
        let noise = random.uniform(0.015, 0.045)

        var pixels = [UInt8](repeating: 0, count: size * size)
        for row in 0..<size {
            for column in 0..<size {
                // Four samples a pixel against jagged edges.
                var sum = 0.0
                for part in 0..<4 {
                    let x = (Double(column) + 0.25 + 0.5 * Double(part & 1)) / Double(size) * 2 - 1
                    let y = (Double(row) + 0.25 + 0.5 * Double(part >> 1)) / Double(size) * 2 - 1
                    let place = pose.inHead(x, y)
                    // Receiver coils see what is near them brighter: a slope across the picture.
                    sum += head.value(place.x, place.y) * (1 + slope.x * x + slope.y * y)
                }
                let value = floor + gain * (sum / 4 + noise * grain(&random))
                pixels[row * size + column] = UInt8(min(max(value, 0), 1) * 255 + 0.5)
            }
        }
        return LumaImage(width: size, height: size, pixels: pixels)
    }

    /// Noise of variance 1, near normal: the sum of four uniform numbers (Irwin-Hall), scaled.
    private static func grain(_ random: inout CounterRandom) -> Double {
        var sum = 0.0
        for _ in 0..<4 { sum += random.unit() }
        return (sum - 2) * 3.0.squareRoot()
    }

    /// How a head lies in the picture.
    private struct Pose {
        private let sine, cosine, width, height, x, y: Double

        init(_ random: inout CounterRandom) {
            (sine, cosine) = DeterministicMath.sineCosine(degrees: random.uniform(-15, 15))
            height = random.uniform(0.68, 0.86)
            width = height * random.uniform(0.78, 0.94)
            x = random.uniform(-0.13, 0.13)
            y = random.uniform(-0.12, 0.12)
        }

        /// From picture coordinates (-1...1) to the head's.
        func inHead(_ px: Double, _ py: Double) -> (x: Double, y: Double) {
            let (dx, dy) = (px - x, py - y)
            return ((cosine * dx + sine * dy) / width, (cosine * dy - sine * dx) / height)
        }
    }
}
