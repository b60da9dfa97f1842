import CKernels

extension Kernels {
    /// IEEE 754 binary16, to the nearest, ties to even; what is beyond +-65504 becomes that. For finite numbers.
    package static func toHalf(
        _ x: UnsafePointer<Float>, count: Int, half: UnsafeMutablePointer<UInt16>, context: ComputeContext
    ) {
        context.instructionSet.kernels.pointee.to_half(x, count, half)
    }

    /// Exactly back.
    package static func fromHalf(
        _ half: UnsafePointer<UInt16>, count: Int, x: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        context.instructionSet.kernels.pointee.from_half(half, count, x)
    }
}
