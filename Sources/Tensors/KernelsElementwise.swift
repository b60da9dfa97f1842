import CKernels

extension Kernels {
    /// `dx = y > 0 ? dy : 0`, where `y` is the output of the ReLU (its input does as well). `dx` may be `dy`.
    package static func reluBackward(
        y: UnsafePointer<Float>, dy: UnsafePointer<Float>, count: Int, dx: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let (y, dy, dx) = (SharedInput(y), SharedInput(dy), SharedPointer(dx))
        context.parallel(count: count, grain: grain) { range in
            let at = range.lowerBound
            table.relu_gradient(y.pointer + at, dy.pointer + at, range.count, dx.pointer + at)
        }
    }

    /// `sum += x`, element by element.
    package static func addInPlace(
        _ x: UnsafePointer<Float>, count: Int, to sum: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let (x, sum) = (SharedInput(x), SharedPointer(sum))
        context.parallel(count: count, grain: grain) { range in
            table.add(x.pointer + range.lowerBound, range.count, sum.pointer + range.lowerBound)
        }
    }

    /// `x *= factor`, element by element.
    package static func scaleInPlace(
        _ x: UnsafeMutablePointer<Float>, count: Int, by factor: Float, context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let x = SharedPointer(x)
        context.parallel(count: count, grain: grain) { range in
            table.scale(factor, range.count, x.pointer + range.lowerBound)
        }
    }
}
