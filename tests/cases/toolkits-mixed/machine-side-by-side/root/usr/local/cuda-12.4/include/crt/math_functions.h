extern __DEVICE_FUNCTIONS_DECL__ __device_builtin__ double  cospi(double x) noexcept (true);
